"""URLs of wizards."""

from django.urls import path

from wizards.views import mending, runs, steps, wizards

app_name = "wizards"
urlpatterns = [
    path("", wizards.wizards, name="wizards"),
    path("runs/", runs.runs, name="runs"),
    path("runs/<int:pk>/", runs.run, name="run"),
    path("runs/<int:pk>/steps/<int:number>/", steps.step, name="step"),
    path("runs/<int:pk>/steps/<int:number>/script.js", steps.step_script, name="step_script"),
    path("runs/<int:pk>/review/", steps.review, name="review"),
    path("runs/<int:pk>/stop/", runs.stop, name="stop"),
    path("runs/<int:pk>/resume/", runs.resume, name="resume"),
    path("runs/<int:pk>/mend/", mending.mend, name="mend"),
    path("runs/<int:pk>/undo/", runs.undo, name="undo"),
    path("runs/<int:pk>/delete/", runs.delete, name="delete"),
    path("new/<slug:slug>/", steps.new, name="new"),
    path("new/<slug:slug>/script.js", steps.new_script, name="new_script"),
]
