"""The configuration: precedence, refusals by name and line, comments that survive a change."""

import stat
from pathlib import Path

import pytest

from node.api.errors import Damaged
from node.profile import config
from node.profile.config import ConfigError, Known
from node.profile.settings import NODE, TOP, Section, Setting

APP = Section(
    "app",
    "The screen.",
    (
        Setting("theme", "dark", "Colours.", choices=("dark", "light")),
        Setting("mouse", True, "Use the mouse."),
        Setting("updates", 2, "A second.", 1, 10),
    ),
)
KNOWN = Known((TOP, NODE, APP))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "config.toml"


def load(path: Path, *options: str, **environment: str) -> config.Config:
    return config.load(path, [APP], options, environment)


def test_without_a_file_there_are_defaults(path: Path) -> None:
    loaded = load(path)
    assert loaded.text("app.theme") == "dark"
    assert loaded.flag("app.mouse") is True
    assert loaded.number("app.updates") == 2
    assert loaded["profile"] == "default"
    assert set(loaded.sources.values()) == {"default"}
    assert not path.exists()


def test_option_beats_environment_beats_file(path: Path) -> None:
    config.create(path, KNOWN)
    config.change(path, KNOWN, "app.updates", "3")
    assert load(path).number("app.updates") == 3
    seen = load(path, NEXUS_APP_UPDATES="4")
    assert (seen.number("app.updates"), seen.sources["app.updates"]) == (4, "environment")
    seen = load(path, "app.updates=5", NEXUS_APP_UPDATES="4")
    assert (seen.number("app.updates"), seen.sources["app.updates"]) == (5, "option")


def test_the_first_file_explains_every_key_and_says_the_defaults(path: Path) -> None:
    assert config.create(path, KNOWN) is True
    assert config.create(path, KNOWN) is False
    text = path.read_text()
    for setting in KNOWN.settings.values():
        assert setting.comment in text
    assert load(path).values == load(path.parent / "missing.toml").values
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_change_keeps_comments_and_strange_spacing(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('# mine\nprofile   =  "x"  # why\n\n[app]\n# dear reader\ntheme = "light"\n')
    config.change(path, KNOWN, "app.theme", "dark")
    config.change(path, KNOWN, "node.produce", "no")
    text = path.read_text()
    assert '# mine\nprofile   =  "x"  # why\n\n[app]\n# dear reader\ntheme = "dark"\n' in text
    assert load(path).flag("node.produce") is False


def test_all_keys_can_be_set_in_all_three_ways(path: Path) -> None:
    for name, setting in KNOWN.settings.items():
        if isinstance(setting.default, bool):
            text = "false" if setting.default else "true"
        elif isinstance(setting.default, int):
            text = str(setting.maximum)
        else:
            text = setting.choices[-1] if setting.choices else "other"
        value = setting.parse(text)
        assert load(path, f"{name}={text}")[name] == value
        assert load(path, **{config.variable_of(name): text})[name] == value
        assert config.change(path, KNOWN, name, text) == value
        assert load(path)[name] == value


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('[app]\nmouse = true\nthem = "x"\n', "line 3: there is no key 'app.them'", "app.theme"),
        ('\n[ap]\ntheme = "dark"\n', "line 2: there is no section 'ap'", ""),
        ('profil = "x"\n', "line 1: there is no key 'profil'", "profile"),
        ('theme = "dark"\n', "line 1: there is no key 'theme'", "app.theme"),
        ("[app]\n\nmouse = 1\n", "line 3: app.mouse must be true or false, not 1", ""),
        ("[app]\nupdates = true\n", "app.updates must be a whole number from 1 to 10, not True", ""),
        ("[app]\nupdates = 11\n", "must be a whole number from 1 to 10, not 11", ""),
        ("[app]\nupdates = 1.0\n", "must be a whole number", ""),
        ('[app]\ntheme = "pink"\n', "must be one of 'dark', 'light', not 'pink'", ""),
        ("app = 3\n", "there is no key 'app'", ""),
        ("[app]\ntheme = dark\n", "is not valid TOML.*line 2", "quotes"),
        ("[app]\nmouse = true\nmouse = true\n", "is not valid TOML", ""),
        ("x = " + "[" * 5000, "nested too deeply|is not valid TOML", ""),
    ],
)
def test_a_wrong_file_is_refused_by_line_and_key(path: Path, text: str, message: str, hint: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load(path)
    assert str(path) in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.exit_status == 2
    with pytest.raises(ConfigError):
        config.change(path, KNOWN, "app.updates", "3")
    assert path.read_text() == text


def test_a_file_that_is_no_text_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(path)
    path.write_bytes(b"#" * (config.MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="larger than"):
        load(path)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("app.theme", "needs section.key=value"),
        ("=dark", "needs section.key=value"),
        ("app.them=dark", "no setting 'app.them'"),
        ("app.updates=-1", "must be a whole number"),
        ("app.updates=٣", "must be a whole number"),
        ("app.updates=" + "9" * 5000, "must be a whole number"),
        ("app.mouse=maybe", "must be true or false"),
    ],
)
def test_wrong_options_are_refused(path: Path, option: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(path, option)


def test_a_wrong_environment_is_refused_by_its_name(path: Path) -> None:
    with pytest.raises(ConfigError, match="NEXUS_APP_MOUSE must be true or false"):
        load(path, NEXUS_APP_MOUSE="maybe")


def test_an_unwritable_folder_is_named() -> None:
    with pytest.raises(Damaged, match="/proc"):
        config.create(Path("/proc/nexus/config.toml"), KNOWN)


def test_an_unknown_variable_is_refused_by_name(path: Path) -> None:
    for variable, hint in (("NEXUS_APP_THEMES", "app.theme"), ("NEXUS_NODE_WEATHER", "config get")):
        with pytest.raises(ConfigError, match=variable) as caught:
            load(path, **{variable: "dark"})
        assert hint in caught.value.hint
    # other programs' variables, and those of Nexus that are no settings
    assert load(path, NEXUS_HOME="/x", NEXUS_PASSPHRASE="secret", NEXUSAPP_THEME="x", NEXUS_OTHER_KEY="1")
