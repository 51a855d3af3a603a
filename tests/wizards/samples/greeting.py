from pathlib import Path

from django import forms

from wizards.wizards import _Wizard


class NameForm(forms.Form):
    name = forms.CharField(label="Name")
    folder = forms.CharField(label="Folder")
    secret = forms.CharField(label="Secret", widget=forms.PasswordInput, required=False)


class WordsForm(forms.Form):
    words = forms.CharField(label="Words")


class Greeting(_Wizard):
    _name = "Greeting"
    _description = "Writes a greeting into a file"
    _nb_step = 2
    _nb_task = 2
    _steps_names = ["Name", "Words"]
    _tasks_names = ["Write", "Read again"]

    def display_step_1(self, request):
        return (
            "Who shall be <greeted>?",
            NameForm(request.POST or None),
            "document.title = 'from the wizard';",
        )

    def save_step_1(self, form):
        return {
            "name": form.cleaned_data["name"],
            "folder": form.cleaned_data["folder"],
            "told": form.cleaned_data["secret"],
        }

    def display_step_2(self, request):
        return ("", WordsForm(initial={"words": f"Hello {self.step_data[0]['name']}"}), "")

    def save_step_2(self, form):
        return {"words": form.cleaned_data["words"]}

    def do_task_1(self):
        path = Path(self.step_data[1 - 1]["folder"]) / "greeting"
        path.write_text(self.step_data[2 - 1]["words"])
        return (True, {"path": str(path)})

    def do_task_2(self):
        path = Path(self.task_data[1 - 1]["path"])
        if not path.exists() or (path.parent / "no").exists():
            return (False, None)
        return (True, {"read": path.read_text()})
