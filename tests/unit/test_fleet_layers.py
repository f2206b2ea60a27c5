"""Fleet files over each other: which of them count, what results, whose word is taken."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import replace
from pathlib import Path

import pytest

from jupyter_macgpu.fleet.allowing import allow
from jupyter_macgpu.fleet.file import FleetFileError, load_fleet
from jupyter_macgpu.fleet.hosts import THIS_MACHINE, Fleet, Host
from jupyter_macgpu.fleet.places import Places, places_here, site_folder

ONE = "version: 1\nhosts:\n  mini: {hostname: mini.local}\n"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Return folders of this test alone; the administrator is whoever runs it."""
    folders = {name: tmp_path / name for name in ("user", "site", "working")}
    for folder in folders.values():
        folder.mkdir(mode=0o755)
    return Places(**folders, site_owner=os.getuid())


def write(file: Path | None, text: str | bytes) -> Path:
    assert file is not None
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    file.chmod(0o644)
    return file


def load(places: Places, **environment: str) -> Fleet:
    return load_fleet(environment, places)


def problems(places: Places, **environment: str) -> list[str]:
    with pytest.raises(FleetFileError) as caught:
        load(places, **environment)
    return [f"{Path(each.file).parent.name}: {each}" for each in caught.value.problems]


def problems_or_none(places: Places) -> list[str]:
    try:
        load(places)
    except FleetFileError as error:
        return [str(problem) for problem in error.problems]
    return []


def test_without_a_file_it_is_this_machine_and_says_so(places: Places) -> None:
    fleet = load(places)
    assert fleet.hosts == (THIS_MACHINE,)
    assert (fleet.files, fleet.own) == ((), places.user_file)
    looked = f"looked at {places.user_file} and {places.site_file}"
    assert fleet.notice == f"No fleet file found ({looked}): running on this machine."


def test_the_users_file_is_found(places: Places) -> None:
    write(places.user_file, ONE)
    fleet = load(places, MACGPU_FLEET="")
    assert fleet.hosts == (Host(name="mini", hostname="mini.local", trust="full"),)
    assert (fleet.files, fleet.own, fleet.notice) == ((places.user_file,), places.user_file, "")


def test_the_sites_file_alone_gives_hosts_whose_data_runs_nothing_here(places: Places) -> None:
    write(places.site_file, ONE + "  here: {transport: local}\n")
    fleet = load(places)
    assert [(host.name, host.trust) for host in fleet.hosts] == [("mini", "data"), ("here", "full")]
    assert (fleet.files, fleet.own) == ((places.site_file,), places.user_file)


SITE = """\
version: 1
defaults: {user: lab, python: /opt/site/python, labels: {room: 1-a, site: here}}
hosts:
  studio-1: {hostname: one.lab, port: 2222, labels: {chip: m2}}
  studio-2: {hostname: two.lab, user: shared}
  studio-3: {hostname: three.lab}
"""
USER = """\
version: 1
defaults: {user: me, identity_file: ~/.ssh/lab, labels: {room: mine}}
hosts:
  laptop: {}
  studio-1: {port: 22, slots: 2, labels: {chip: m2-ultra}}
  studio-2: {trust: full}
"""


def test_the_users_word_lies_over_the_sites_key_by_key(places: Places) -> None:
    write(places.site_file, SITE)
    write(places.user_file, USER)
    fleet = load(places)
    own = {"identity_file": "~/.ssh/lab"}
    site = {**own, "python": "/opt/site/python"}
    labels = {"room": "mine", "site": "here"}
    assert fleet.hosts == (
        # Nothing of the site holds for a machine that the user alone has listed.
        Host(name="laptop", user="me", labels={"room": "mine"}, trust="full", **own),
        Host(
            name="studio-1",
            hostname="one.lab",
            port=22,
            slots=2,
            user="me",
            labels={**labels, "chip": "m2-ultra"},
            trust="data",
            **site,
        ),
        # What is said of one host beats what is said of all.
        Host(
            name="studio-2", hostname="two.lab", user="shared", trust="full", labels=labels, **site
        ),
        Host(name="studio-3", hostname="three.lab", user="me", trust="data", labels=labels, **site),
    )
    assert fleet.files == (places.user_file, places.site_file)


def test_the_user_may_trust_all_hosts_of_the_site_or_none_of_his_own(places: Places) -> None:
    write(places.site_file, SITE)
    write(places.user_file, "version: 1\ndefaults: {trust: full}\n")
    assert {host.trust for host in load(places).hosts} == {"full"}
    write(places.user_file, "version: 1\ndefaults: {trust: data}\nhosts: {own: {}}\n")
    assert {host.trust for host in load(places).hosts} == {"data"}


def test_a_site_cannot_decide_what_runs_on_the_users_side(places: Places) -> None:
    text = "version: 1\ndefaults: {trust: full}\nhosts:\n  a: {trust: full}\n  b: {trust: data}\n"
    write(places.site_file, text)
    said = "a site's file cannot say full: each user says it, in the file of their own"
    assert problems(places) == [
        f"site: line 2, defaults.trust: {said}",
        f"site: line 4, hosts.a.trust: {said}",
    ]


def test_the_mistakes_of_all_files_are_reported_at_once_with_their_files(places: Places) -> None:
    write(places.site_file, "version: 2\nhosts: {a: {slot: 1}}\n")
    write(places.user_file, "version: 1\n\nhosts: {b: {port: 0}}\n")
    found = problems(places)
    assert [each.split(":")[:2] for each in found] == [
        ["user", " line 3, hosts.b.port"],
        ["site", " line 1, version"],
        ["site", " line 2, hosts.a.slot"],
    ]
    with pytest.raises(FleetFileError) as caught:
        load(places)
    assert str(caught.value).startswith("The fleet files have 3 errors:\n")
    for file in (places.user_file, places.site_file):
        assert f"  {file}, line" in str(caught.value)


def test_a_host_made_local_must_not_keep_how_the_site_reaches_it(places: Places) -> None:
    write(places.site_file, SITE)
    write(places.user_file, "version: 1\nhosts: {studio-3: {transport: local}}\n")
    assert problems(places) == [
        "site: line 6, hosts.studio-3.hostname: this is for hosts over ssh, "
        "and studio-3 has transport: local; leave one of them out"
    ]


def test_files_without_any_host_are_an_error(places: Places) -> None:
    write(places.user_file, "version: 1\ndefaults: {user: me}\n")
    assert "hosts: this key is missing" in problems(places)[0]
    write(places.site_file, "version: 1\nhosts: {}\n")
    assert problems(places) == ["site: line 2, hosts: there is no host under this key"]


def test_the_file_that_the_environment_names_stands_alone(places: Places) -> None:
    write(places.user_file, "not: read")
    write(places.site_file, "not: read")
    write(places.working_file, "not: read")
    file = write(places.user / "other.yaml", b"\xef\xbb\xbf" + ONE.encode())
    fleet = load(places, MACGPU_FLEET=str(file))
    assert (fleet.files, fleet.own, fleet.notice) == ((file,), file, "")


def test_a_file_that_the_environment_names_must_be_there(places: Places) -> None:
    write(places.user_file, ONE)
    missing = str(places.user / "macgpu.yml")
    for name in (missing, "~nobody-of-this-name/macgpu.yaml", f"{places.user_file}/x"):
        assert "there is no such file" in problems(places, MACGPU_FLEET=name)[0]


def test_what_cannot_be_read_is_no_missing_file(places: Places) -> None:
    places.user_file.mkdir()
    assert "it cannot be read" in problems(places)[0]
    os.mkfifo(places.user / "pipe")
    # Nobody ever writes to it: whoever waited for that would wait for ever.
    assert "not a file" in problems(places, MACGPU_FLEET=str(places.user / "pipe"))[0]
    assert "cannot be read" in problems(places, MACGPU_FLEET="a\0b")[0]


def test_a_file_in_another_encoding_is_refused(places: Places) -> None:
    write(places.user_file, b"version: 1 # gr\xfc\xdfe")
    assert "byte 15 is not UTF-8" in problems(places)[0]


def test_a_huge_file_is_refused_unread(places: Places) -> None:
    with places.user_file.open("wb") as stream:
        stream.truncate(1 << 40)
    assert "larger than 1 MiB" in problems(places)[0]


@pytest.mark.parametrize("mode", [0o646, 0o666, 0o777])
def test_a_file_that_others_can_write_is_refused_with_the_remedy(places: Places, mode: int) -> None:
    write(places.user_file, ONE).chmod(mode)
    assert f"chmod go-w {places.user_file}" in problems(places)[0]
    places.user_file.chmod(mode & ~0o022)
    assert load(places).files


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file to any group")
def test_a_group_that_may_write_is_others_unless_the_user_is_alone_in_it(places: Places) -> None:
    file = write(places.user_file, ONE)
    file.chmod(0o664)
    os.chown(file, -1, 12345)
    assert f"chmod go-w {file}" in problems(places)[0]
    own = pwd.getpwuid(0).pw_gid
    os.chown(file, -1, own)
    alone = grp.getgrgid(own).gr_name == "root" and not grp.getgrgid(own).gr_mem
    assert bool(alone) == (not problems_or_none(places))


def test_a_folder_that_others_can_write_is_as_bad_unless_it_is_sticky(places: Places) -> None:
    write(places.user_file, ONE)
    places.user.chmod(0o777)
    assert f"chmod go-w {places.user}" in problems(places)[0]
    places.user.chmod(0o1777)
    assert load(places).files


def test_a_link_is_followed_and_both_its_ends_are_checked(places: Places, tmp_path: Path) -> None:
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir()
    write(dotfiles / "fleet", ONE)
    places.user_file.symlink_to(dotfiles / "fleet")
    assert load(places).files == (places.user_file,)
    dotfiles.chmod(0o777)
    assert f"chmod go-w {dotfiles}" in problems(places)[0]
    dotfiles.chmod(0o700)
    (dotfiles / "fleet").chmod(0o666)
    assert "others can change it" in problems(places)[0]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(places: Places) -> None:
    write(places.user_file, ONE)
    os.chown(places.user_file, 12345, -1)
    assert "belongs to user 12345; it must belong to root" in problems(places)[0]
    os.chown(places.user_file, 0, -1)
    os.chown(places.user, 12345, -1)
    assert f"{places.user} belongs to user 12345" in problems(places)[0]


def test_the_sites_file_must_be_the_administrators(places: Places) -> None:
    write(places.site_file, ONE)
    other = replace(places, site_owner=os.getuid() + 1)
    assert f"belongs to user {os.getuid()}" in problems(other)[0]


def test_where_this_machine_looks(own_state: Path) -> None:
    here = places_here()
    assert here.user == own_state / "config" / "macgpu" or os.uname().sysname == "Darwin"
    assert (here.site, here.site_owner, here.working) == (site_folder(), 0, Path.cwd())
    assert here.site.is_absolute()


def test_a_file_of_the_working_folder_does_not_count_and_a_line_says_so(places: Places) -> None:
    file = write(places.working_file, ONE)
    fleet = load(places)
    assert fleet.hosts == (THIS_MACHINE,)
    remedy = f"{file} is not used: read it, then allow it with macgpu allow."
    assert fleet.notice.endswith(f"running on this machine. {remedy}")
    write(places.user_file, ONE)
    assert load(places).notice == remedy


@pytest.mark.parametrize("kind", ["pipe", "folder", "dangling link", "huge", "not YAML"])
def test_nothing_in_the_working_folder_can_stop_a_notebook(places: Places, kind: str) -> None:
    file = places.working_file
    assert file is not None
    make = {
        "pipe": lambda: os.mkfifo(file),
        "folder": file.mkdir,
        "dangling link": lambda: file.symlink_to("/nowhere/at/all"),
        "huge": lambda: os.truncate(write(file, ""), 1 << 40),
        "not YAML": lambda: write(file, "{"),
    }
    make[kind]()
    assert load(places).hosts == (THIS_MACHINE,)


def test_an_allowed_file_stands_alone_until_it_is_changed(places: Places) -> None:
    write(places.user_file, "version: 1\nhosts: {own: {}}\n")
    file = write(places.working_file, ONE)
    allow(file, places.user)
    fleet = load(places)
    # Somebody else wrote it: allowing it says where data goes, not what may run here.
    assert fleet.hosts == (Host(name="mini", hostname="mini.local", trust="data"),)
    assert (fleet.files, fleet.own, fleet.notice) == ((file,), None, "")
    write(file, ONE + "# a change\n")
    changed = load(places)
    assert [host.name for host in changed.hosts] == ["own"]
    assert "is not used since it was changed: read it" in changed.notice


def test_an_allowed_file_may_say_that_what_it_returns_is_trusted(places: Places) -> None:
    file = write(places.working_file, "version: 1\nhosts: {mini: {trust: full}}\n")
    allowed = allow(file, places.user)
    assert [host.trust for host in allowed.hosts] == ["full"]
    assert load(places).hosts == allowed.hosts


def test_the_users_folder_as_working_folder_needs_no_allowing(places: Places) -> None:
    write(places.user_file, ONE)
    fleet = load(replace(places, working=places.user))
    assert (fleet.files, fleet.notice) == ((places.user_file,), "")
