"""Parameters are accepted and refused as Proxmox does, with its words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.pve.errors import BadParameters
from lab.pve.schema import Schema, parse_properties, print_properties, schema_of
from tests.lab.pve.recordings import recorded

CREATE = "POST /nodes/{node}/lxc"


def test_every_recorded_verdict_on_parameters_is_ours() -> None:
    schema = Schema("9.1")
    wrong = []
    for entry in recorded("validation-lxc-9.2.json"):
        try:
            schema.check(f"{entry['method']} {entry['path']}", entry["param"])
            verdict: object = "OK"
        except BadParameters as error:
            verdict = error.errors
        expected = entry["result"] if entry["result"] == "OK" else entry["result"]["errors"]
        if verdict != expected:
            wrong.append((entry["param"], verdict, expected))
    assert not wrong


@pytest.mark.parametrize(("version", "known"), [("7.4-3", False), ("8.4.1", True), ("9.1.2", True)])
def test_versions_differ_in_what_they_know(version: str, known: bool) -> None:
    assert ("GET /nodes/{node}/lxc/{vmid}/interfaces" in schema_of(version).calls) is known


@pytest.mark.parametrize("value", ["True", "true", "yes", "2", ""])
def test_booleans_are_one_or_nought(value: str) -> None:
    with pytest.raises(BadParameters) as refused:
        Schema("9.1").check(CREATE, {"node": "pve", "vmid": "101", "ostemplate": "x", "onboot": value})
    assert refused.value.errors == {"onboot": f"type check ('boolean') failed - got '{value}'"}


@given(st.text())
def test_any_text_as_network_is_accepted_or_refused_but_never_breaks(text: str) -> None:
    try:
        Schema("9.1").check(CREATE, {"node": "pve", "vmid": "101", "ostemplate": "x", "net0": text})
    except BadParameters as error:
        refused = set(error.errors)
    else:
        refused = {"net0"}
    assert refused == {"net0"}


@given(st.integers(1, 4094), st.booleans(), st.from_regex(r"vmbr[0-9]{1,3}", fullmatch=True))
def test_a_network_is_written_as_it_is_read(tag: int, firewall: bool, bridge: str) -> None:
    properties = Schema("9.1").properties(CREATE)["net[n]"]["format"]
    values = {"tag": tag, "firewall": int(firewall), "bridge": bridge, "name": "eth0"}
    text = print_properties(properties, values)
    assert text.startswith("name=eth0,bridge=")
    assert parse_properties(properties, text) == values
