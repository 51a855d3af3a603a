"""Lists: search, sort, filter and paging in a constant number of queries, as a page, a fragment or JSON.

Of a program, a name or value that is none is an error: all rows would not be what it asked for.

Query string: `q` words, `sort` a name of `sorts` (with a leading `-` downwards), `page`, each filter's name. Of a
search that is longer than `pages.limits` says, the beginning counts, and the page says so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from pages.answers import wants_json
from pages.json_values import jsonable
from pages.limits import CANNOT_BE_KEPT, LONGEST_SEARCH, is_too_long, search_words

MOST_NAMED = 20  # values, where one is none of them


@dataclass(frozen=True)
class Filter:
    """A choice over a list: `apply` narrows the rows to a chosen value."""

    name: str
    label: Any
    choices: Sequence[tuple[str, Any]]
    apply: Callable[[QuerySet[Any], str], QuerySet[Any]]


class ListPage:
    """One page of a list as the query string asks for it; for a person unknown values fall back to the default.

    `beside`: names that the view reads itself.
    """

    def __init__(
        self,
        request: HttpRequest,
        rows: QuerySet[Any],
        *,
        search: Sequence[str] = (),
        sorts: Mapping[str, str | tuple[str, ...]] | None = None,
        default_sort: str = "",
        filters: Sequence[Filter] = (),
        per_page: int = 50,
        beside: Sequence[str] = (),
    ) -> None:
        self.request = request
        self.all_rows = rows
        self.searchable = tuple(search)
        self.sorts = sorts or {}
        self.filters = tuple(filters)
        self.per_page = per_page
        self.beside = tuple(beside)
        self.query = typed(request, "q")[:LONGEST_SEARCH]
        self.cut = is_too_long(request.GET.get("q", ""))
        asked = request.GET.get("sort", "")
        self.sort = asked if asked.lstrip("-") in self.sorts else default_sort
        self.chosen = {
            item.name: request.GET.get(item.name, "")
            for item in self.filters
            if request.GET.get(item.name, "") in {str(value) for value, _label in item.choices}
        }

    def matching(self) -> QuerySet[Any]:
        """The rows that search and filters leave, in order."""
        rows = self.all_rows
        for word in search_words(self.query):
            rows = rows.filter(self._found(word))
        for item in self.filters:
            if self.chosen.get(item.name):
                rows = item.apply(rows, self.chosen[item.name])
        if self.sort:
            fields = self.sorts[self.sort.lstrip("-")]
            names = (fields,) if isinstance(fields, str) else fields
            down = self.sort.startswith("-")
            rows = rows.order_by(*(_turned(name) if down else name for name in names), "pk")
        return rows

    def _found(self, word: str) -> Q:
        """Never a join with rows that there are many of: each word would multiply the rows that are looked at."""
        model = self.all_rows.model
        if not any(_is_to_many(model, name) for name in self.searchable):
            return self.match(word)
        return Q(pk__in=model._base_manager.filter(self.match(word)).order_by().values("pk"))

    def match(self, word: str) -> Q:
        """What a row must fit for one word of the search; a list that knows better ways says so here."""
        found = Q()
        for name in self.searchable:
            found |= Q(**{f"{name}__icontains": word})
        return found

    @cached_property
    def page(self) -> Page[Any]:
        """The page asked for, or the nearest there is."""
        return Paginator(self.matching(), self.per_page).get_page(self.request.GET.get("page"))

    @property
    def rows(self) -> Page[Any]:
        """The rows of this page."""
        return self.page

    @property
    def total(self) -> int:
        """How many rows match."""
        return self.page.paginator.count

    @property
    def narrowed(self) -> bool:
        """Whether search or a filter hides rows."""
        return bool(self.query or any(self.chosen.values()))

    @property
    def choices(self) -> list[tuple[Filter, str]]:
        """Each filter with its chosen value."""
        return [(item, self.chosen.get(item.name, "")) for item in self.filters]

    def passed_over(self) -> dict[str, list[str]]:
        """What the query string says and the list does not know, by name, each with what there is."""
        filters = {item.name: [str(value) for value, _label in item.choices] for item in self.filters}
        known = {"sort": [*self.sorts, *(f"-{name}" for name in self.sorts)], **filters}
        names = ["q", "page", *known, *self.beside]
        found = {}
        for name in self.request.GET:
            value = self.request.GET.get(name, "")
            if name not in names:
                found[name] = [_("There is no such filter here. There are: %s.") % ", ".join(names)]
            elif name in known and value and value not in known[name]:
                there = ", ".join([one for one in known[name] if one][:MOST_NAMED]) or "–"
                found[name] = [_("There is no such value here. There are: %s.") % there]
            elif name == "page" and value and not number_in(value):
                found[name] = [_("Enter a whole number.")]
        return found

    @property
    def kept(self) -> list[tuple[str, str]]:
        """What else the address narrows the list by: a search does not widen it again."""
        own = {"q", "page", "sort", *(item.name for item in self.filters)}
        return [
            (name, value) for name, values in self.request.GET.lists() if name not in own for value in values
        ]

    @property
    def page_numbers(self) -> list[int | None]:
        """The page numbers to offer; None stands for a gap."""
        pages = self.page.paginator
        shown = pages.get_elided_page_range(self.page.number, on_each_side=2, on_ends=1)
        return [number if isinstance(number, int) else None for number in shown]

    def url(self, **changes: Any) -> str:
        """The query string with these parameters set, empty ones left out."""
        params = self.request.GET.copy()
        for name, value in changes.items():
            params[name] = str(value)
        for name in [name for name in params if not params[name]]:
            del params[name]
        return f"?{params.urlencode()}"

    def sort_url(self, name: str) -> str:
        """The query string that sorts by `name`, or the other way round if it already does."""
        return self.url(sort=f"-{name}" if self.sort == name else name, page="")


def typed(request: HttpRequest, name: str) -> str:
    """A parameter of the query string, without what no row has: NUL, which PostgreSQL takes in no comparison."""
    return CANNOT_BE_KEPT.sub("", request.GET.get(name, "")).strip()


def asked_number(request: HttpRequest, name: str) -> int:
    """A row's number in the query string; 0, which no row has, for anything else."""
    return number_in(request.GET.get(name, ""))


def number_in(text: str) -> int:
    """A row's number as somebody sent it; 0 for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def _is_to_many(model: type[Model], path: str) -> bool:
    """Whether this field's path leads over a relation of one row to many."""
    options: Any = model._meta
    for name in path.split("__")[:-1]:
        field = options.get_field(name)
        if field.one_to_many or field.many_to_many:
            return True
        options = field.related_model._meta
    return False


def _turned(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"


def refused_list(listing: ListPage) -> JsonResponse | None:
    """422 for what a program asks and the list would pass over; else nothing."""
    errors = listing.passed_over()
    return JsonResponse({"ok": False, "errors": errors}, status=422) if errors else None


def render_list(
    request: HttpRequest,
    template: str,
    listing: ListPage,
    context: dict[str, Any] | None = None,
    row_json: Callable[[Any], dict[str, Any]] | None = None,
) -> HttpResponse:
    """The list as a page, or as JSON: rows, page, pages, total; 422 for what would be passed over."""
    if wants_json(request):
        if answer := refused_list(listing):
            return answer
        rows = [jsonable(row_json(row)) if row_json else row.pk for row in listing.rows]
        page = listing.page
        return JsonResponse(
            {"rows": rows, "page": page.number, "pages": page.paginator.num_pages, "total": listing.total}
        )
    return render(request, template, {"listing": listing, **(context or {})})
