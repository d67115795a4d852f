"""Which files are pictures: links, pipes, suffixes, archives; what is left out is counted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from famulus.config.errors import DataError
from famulus.feed.data_folder import file_digest
from famulus.images import listing
from famulus.images.datasets import find
from famulus.images.decoding import FORMATS
from famulus.images.files import Folder, Zip, read
from tests.images.picture_files import pack, raw, several, write


def folder(path):
    files = Folder(path, file_digest)
    return files.names, files.listing.notes("x")


def test_folders_and_files_that_are_links_are_followed(tmp_path):
    write(tmp_path / "there", [*several("cats", 3), "one.png"])
    top = tmp_path / "set"
    write(top, several("dogs", 2))
    (top / "cats").symlink_to(tmp_path / "there/cats")
    (top / "dogs/9.png").symlink_to(tmp_path / "there/one.png")
    names, notes = folder(top)
    assert names == sorted([*several("cats", 3), *several("dogs", 2), "dogs/9.png"])
    assert notes == []
    found = find(str(top), 0.5)
    assert found.train.classes == ("cats", "dogs")
    # what is read is what the links lead to
    part = found.train if "dogs/9.png" in found.train.names else found.validation
    assert read(part.files, "dogs/9.png") == (tmp_path / "there/one.png").read_bytes()


def test_links_that_lead_to_nothing_or_in_circles_are_named(tmp_path):
    write(tmp_path, ["a/1.png", "b/2.png"])
    (tmp_path / "a/gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "b/self").symlink_to(tmp_path / "b/self")
    names, notes = folder(tmp_path)
    assert names == ["a/1.png", "b/2.png"]
    text = "\n".join(notes)
    assert "x: left out a/gone.png: a link to what does not exist" in text
    assert "x: left out a/up: a link to a folder that it lies in" in text
    assert "x: left out b/self: " in text


def test_links_that_multiply_end(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "MAX_LINKS", 100)
    for i in range(6):
        write(tmp_path, [f"{i}/p.png"])
    for i in range(6):
        for j in range(6):
            (tmp_path / f"{i}/to{j}").symlink_to(tmp_path / str(j))
    with pytest.raises(DataError, match="expected at most 100 links to folders"):
        folder(tmp_path)


def test_depth_is_bounded(tmp_path):
    deep = "d/" * (listing.DEEPEST + 3)
    write(tmp_path, [f"{deep}1.png", "2.png"])
    names, notes = folder(tmp_path)
    assert names == ["2.png"]
    assert f"more than {listing.DEEPEST} folders deep" in notes[0]


def test_pipes_named_as_pictures_are_left_out(tmp_path):
    write(tmp_path, several(".", 60))
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe")
    names, notes = folder(tmp_path)
    assert len(names) == 60
    assert [n.split(":")[1] for n in notes] == [" left out pipe", " left out pipe.png"]
    assert all("FIFO" in note for note in notes)
    assert "FIFO" in find(str(tmp_path)).notes[0]


@pytest.mark.parametrize("name", ["x.png", "x.zip", "x.npz", "x.csv", "x"])
def test_a_pipe_as_the_set_is_refused_and_never_opened(tmp_path, name):
    os.mkfifo(tmp_path / name)
    code = (
        "import sys; from famulus.images.datasets import find\n"
        "try: find(sys.argv[1])\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    # apart, so that one that waits is ended
    ended = subprocess.run(
        [sys.executable, "-c", code, tmp_path / name], capture_output=True, text=True, timeout=60
    )
    assert ended.stdout.startswith("DataError")
    assert "expected a regular file, received a FIFO" in ended.stdout
    with pytest.raises(DataError, match="FIFO"):
        file_digest(tmp_path / name)


def test_what_may_not_be_read_is_named(tmp_path, monkeypatch):
    write(tmp_path, ["a/1.png", "a/2.png", "b/3.png"])
    # the superuser may read all: permissions are played
    access, scandir = os.access, os.scandir

    def locked(path, *rest):
        if str(path).endswith("b/"):
            raise PermissionError(13, "Permission denied")
        return scandir(path, *rest)

    monkeypatch.setattr(os, "access", lambda p, m: not str(p).endswith("2.png") and access(p, m))
    monkeypatch.setattr(listing.os, "scandir", lambda path: locked(f"{path}/"))
    names, notes = folder(tmp_path)
    assert names == ["a/1.png"]
    assert sorted(notes) == [
        "x: left out a/2.png: permission denied",
        "x: left out b/: Permission denied",
    ]


def test_each_suffix_belongs_to_a_safe_decoder():
    Image.init()
    forms = {end: Image.registered_extensions().get(end) for end in listing.SUFFIXES}
    assert set(forms.values()) <= set(FORMATS)
    assert set(FORMATS) == set(forms.values())  # and none of the decoders stands for nothing
    assert not {"EPS", "PDF", "WMF", "HDF5", "GRIB", "BUFR"} & set(FORMATS)


FORMS = {
    ".jfif": "JPEG", ".jpe": "JPEG", ".avif": "AVIF", ".tga": "TGA", ".jp2": "JPEG2000",
    ".pnm": "PPM", ".dib": "DIB", ".apng": "PNG", ".JPG": "JPEG",
}  # fmt: skip


@pytest.mark.parametrize("end", FORMS)
def test_what_pillow_opens_is_read(tmp_path, end):
    write(tmp_path, {f"{i}{end}": raw(i, FORMS[end]) for i in range(40)})
    found = find(str(tmp_path), 0.5)
    for part in (found.train, found.validation):
        for item in part.items():
            assert item.pixels.shape == (8, 8, 3)
    assert len(found.train.names) + len(found.validation.names) == 40


@pytest.mark.parametrize("zipped", [False, True])
def test_files_without_suffix_are_known_by_their_first_bytes(tmp_path, zipped):
    files = {f"p{i}": raw(i, form) for i, form in enumerate(("PNG", "JPEG", "WEBP", "AVIF", "PPM"))}
    files |= {"README": b"of text", "empty": b"", "a.txt": b"", "b.XML": b"", "c.xml": b""}
    if zipped:
        files = Zip(Path(pack(tmp_path / "x.zip", files)), str)
        names, notes = files.names, files.listing.notes("x")
    else:
        names, notes = folder(write(tmp_path / "y", files) and tmp_path / "y")
    assert names == ["p0", "p1", "p2", "p3", "p4"]
    assert notes == ["x: left out 5 files: .xml (2), no suffix (2), .txt (1)"]


def test_hidden_files_stay_silent(tmp_path):
    names = {".x.png": b"", "__MACOSX/a.png": b"", ".git/a.png": b"", "a.png": raw(0)}
    assert folder(write(tmp_path, names) and tmp_path) == (["a.png"], [])


def test_archives_inside_are_named(tmp_path):
    names = {"a.png": raw(0), "more.zip": b"PK", "b/old.tar.gz": b""}
    for found in (folder(write(tmp_path / "y", names) and tmp_path / "y"), None):
        if found is None:
            files = Zip(Path(pack(tmp_path / "x.zip", names)), str)
            found = files.names, files.listing.notes("x")
        assert found[0] == ["a.png"]
        assert [n.split(": ")[1] for n in found[1]] == [
            "left out b/old.tar.gz",
            "left out more.zip",
        ]
    with pytest.raises(DataError, match=r"received archives \(more.zip\): unpack"):
        find(pack(tmp_path / "z.zip", {"more.zip": b"PK", "read.me": b""}))


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.tgz", "x.7z", "X.TAR.XZ"])
def test_a_tar_says_to_unpack_it(tmp_path, name):
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(DataError, match="unpack it, and name the folder"):
        find(str(tmp_path / name))


@pytest.mark.parametrize("name", ["a.png", "a.JPG", "a.pdf", "a", "train-images-idx3-ubyte"])
def test_a_single_file_that_is_no_set_says_what_to_do(tmp_path, name):
    (tmp_path / name).write_bytes(raw(0))
    with pytest.raises(DataError, match=r"expected a folder, or a file \.zip"):
        find(str(tmp_path / name))


def test_a_folder_without_pictures_says_what_it_holds(tmp_path):
    write(tmp_path, {"a.txt": b"", "b.heic": b""})
    with pytest.raises(DataError, match=r"received \.heic \(1\), \.txt \(1\)"):
        find(str(tmp_path))


def test_names_need_not_be_text(tmp_path):
    odd = os.fsencode(tmp_path) + b"/\xff.png"
    with open(odd, "wb") as file:
        file.write(raw(0))
    write(tmp_path, several(".", 50))
    assert len(find(str(tmp_path)).train.digest) == 64


def test_names_in_a_zip_as_other_programs_write_them(tmp_path):
    names = {"train\\cat\\1.png": raw(0), "./train/dog/2.png": raw(1), "../out.png": raw(2)}
    names |= {"/etc/3.png": raw(3), "train\\": b""}
    files = Zip(Path(pack(tmp_path / "x.zip", names)), str)
    assert files.names == ["train/cat/1.png", "train/dog/2.png"]
    assert read(files, "train/cat/1.png") == raw(0)
    assert files.listing.notes("x") == [
        "x: left out ../out.png: its name leads outside the zip",
        "x: left out /etc/3.png: its name leads outside the zip",
    ]


@pytest.mark.parametrize("name", ["x" * 5000, "~nobody-of-that-name/x", "a/" + "y" * 300])
def test_names_that_are_no_paths_are_one_line(name):
    with pytest.raises(DataError, match=r"data\.name: "):
        find(name)
