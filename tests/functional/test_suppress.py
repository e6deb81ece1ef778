"""`winback suppress`: the list that only grows, by hand and by file."""

import subprocess


def test_addresses_are_added_listed_and_carried_to_another_workspace(
    walk, winback, tmp_path, move_to_database
):
    here, there = tmp_path / "here", tmp_path / "there"
    for root in (here, there):
        walk("init", root)
        move_to_database(root)
    (there / "secrets.toml").write_text((here / "secrets.toml").read_text())
    assert "1 added" in walk("suppress", "add", "Ada@Example.com", workspace=here)
    several = subprocess.run(
        [winback, "suppress", "add", "-", "-w", str(here)],
        input="ada@example.com\nbob@example.com\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert "1 added, 1 known before" in several.stdout

    listed = walk("suppress", "list", workspace=here)
    assert "manual: 2" in listed
    file = tmp_path / "suppressed.csv"
    assert "2 written" in walk("suppress", "export", file, workspace=here)
    assert "ada" not in file.read_text()
    taken = walk("suppress", "import", file, workspace=there)
    assert "2 taken, 0 unchanged, 0 rejected" in taken
    assert walk("suppress", "list", workspace=there) == listed


def test_what_is_no_address_adds_nothing_and_is_not_repeated(walk, winback, tmp_path):
    walk("init", tmp_path / "here")
    done = subprocess.run(
        [winback, "suppress", "add", "-", "-w", str(tmp_path / "here")],
        input="bob@example.com\nada@@example\n",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "line 2 is not an e-mail address" in done.stderr
    assert "ada" not in done.stderr
    told = walk("suppress", "list", workspace=tmp_path / "here")
    assert told.startswith("0 addresses")
