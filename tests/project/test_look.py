"""docs/look.py finds what is wrong with a page, in a headless browser where there is one."""

import importlib.util
import shutil

import pytest


@pytest.fixture(scope="module")
def look(root):
    spec = importlib.util.spec_from_file_location("look", root / "docs/look.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not any(map(shutil.which, module.BROWSERS)):
        pytest.skip("no browser")
    return module


def test_each_fault_is_found(look, tmp_path, capsys):
    picture = '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>'
    (tmp_path / "there.svg").write_text(picture, encoding="utf-8")
    good = (
        '<h1 id="place">a</h1><img src="there.svg"><a href="good.html#place">b</a><a href="https://example.org">c</a>'
    )
    good += "<script>console.warn('a word of advice')</script>"
    (tmp_path / "good.html").write_text(good, encoding="utf-8")
    assert look.main(str(tmp_path)) == 0
    faults = {
        "picture": '<img src="missing.png">',
        "file": '<a href="missing.html">a</a>',
        "place": '<a href="good.html#missing">a</a>',
        "console": "<script>unknown()</script>",
    }
    for name, fault in faults.items():
        (tmp_path / f"{name}.html").write_text(fault, encoding="utf-8")
    capsys.readouterr()
    assert look.main(str(tmp_path)) == len(faults)
    said = capsys.readouterr().out.splitlines()
    assert all(sum(f"/{name}.html" in line for line in said) == 1 for name in faults)
    assert look.main(str(tmp_path / "good.html")) == 0
