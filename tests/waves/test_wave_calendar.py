"""Days, freezes and windows: 2026 as announced, a year that nobody has announced, and the nights between years."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest

from inventory.freezes import FreezeFileError, read_freeze_file, read_operations_calendar
from inventory.holidays import known_years, read_days, read_holiday_spans
from inventory.model.calendar import DayKind, Window
from inventory.model.migration import WaveSettings
from scheduler.core.waves.windows import nights
from tests.waves.estates import days_only


@pytest.mark.parametrize(
    ("day", "kind", "holiday"),
    [
        pytest.param("2026-02-13", DayKind.WORKDAY, None, id="the last Friday before Spring Festival is worked"),
        pytest.param("2026-02-14", DayKind.MAKEUP_WORKDAY, "spring_festival", id="the Saturday before is made up"),
        pytest.param("2026-02-15", DayKind.HOLIDAY, "spring_festival", id="Spring Festival begins on Sunday"),
        pytest.param("2026-02-23", DayKind.HOLIDAY, "spring_festival", id="its ninth day is a Monday off"),
        pytest.param("2026-02-24", DayKind.WORKDAY, None, id="work begins again on Tuesday"),
        pytest.param("2026-02-28", DayKind.MAKEUP_WORKDAY, "spring_festival", id="the Saturday after is made up"),
        pytest.param("2026-01-04", DayKind.MAKEUP_WORKDAY, "new_years_day", id="a Sunday can be made up"),
        pytest.param("2026-03-07", DayKind.WEEKEND, None, id="an ordinary Saturday"),
        pytest.param("2025-12-31", DayKind.WORKDAY, None, id="the last day of a known year before a known year"),
        pytest.param("2026-01-01", DayKind.HOLIDAY, "new_years_day", id="New Year's Day"),
        pytest.param(
            "2035-02-08", DayKind.UNKNOWN_WEEKDAY, None, id="Spring Festival 2035 is not yet known as one"
        ),
        pytest.param("2035-02-10", DayKind.UNKNOWN_WEEKEND, None, id="a Saturday of 2035 is provisional"),
        pytest.param("2003-12-31", DayKind.UNKNOWN_WEEKDAY, None, id="before the first notice"),
    ],
)
def test_each_day_is_of_the_announced_kind(day: str, kind: DayKind, holiday: str | None) -> None:
    wanted = date.fromisoformat(day)
    (found,) = read_days(wanted, wanted).values()
    assert (found.kind, found.holiday) == (kind, holiday)


def test_an_unknown_year_has_no_workday_and_no_day_that_is_settled() -> None:
    days = read_days(date(2035, 1, 1), date(2035, 12, 31)).values()
    assert len(days) == 365
    assert {day.kind for day in days} == {DayKind.UNKNOWN_WEEKDAY, DayKind.UNKNOWN_WEEKEND}
    assert all(day.unsettled for day in days)
    assert {day.day.weekday() for day in days if day.kind.is_day_off} == {5, 6}


def test_the_last_days_before_an_unknown_year_are_unsettled() -> None:
    last = max(known_years())
    days = read_days(date(last, 12, 20), date(last, 12, 31))
    assert not days[date(last, 12, 24)].unsettled
    assert days[date(last, 12, 25)].unsettled and days[date(last, 12, 31)].unsettled
    assert not read_days(date(last - 1, 12, 31), date(last - 1, 12, 31))[date(last - 1, 12, 31)].unsettled


def test_a_holiday_span_over_new_year_is_one() -> None:
    assert read_holiday_spans(date(2019, 1, 1), date(2019, 1, 1)) == (
        ("new_years_day", date(2018, 12, 30), date(2019, 1, 1)),
    )


def windows_of(first: str, weeks: int) -> tuple[dict[str, bool], dict[str, str]]:
    """Windows with "provisional?", and refused nights with the Chinese reason."""
    settings = WaveSettings(starts_on=date.fromisoformat(first), horizon_weeks=weeks)
    windows, refused = nights(days_only(settings), settings)
    return (
        {window.first_day.isoformat(): window.provisional for window in windows},
        {night.day.isoformat(): night.reason[0] for night in refused},
    )


class TestWindows:
    def test_an_ordinary_week_has_a_friday_and_a_saturday_night(self) -> None:
        windows, refused = windows_of("2026-03-16", 1)
        assert windows == {"2026-03-20": False, "2026-03-21": False}
        assert refused == {}

    def test_the_friday_before_a_made_up_saturday_is_no_window(self) -> None:
        windows, refused = windows_of("2026-02-23", 1)
        assert refused == {"2026-02-27": "次日 2026-02-28 是调休工作日"}
        assert list(windows) == ["2026-02-28"]  # made up itself, but Sunday is off

    def test_the_saturday_before_a_made_up_sunday_is_no_window(self) -> None:
        windows, refused = windows_of("2025-12-29", 1)
        assert list(windows) == ["2026-01-02"]
        assert refused == {"2026-01-03": "次日 2026-01-04 是调休工作日"}

    def test_an_unknown_year_offers_its_weekends_as_provisional(self) -> None:
        windows, refused = windows_of("2035-01-01", 52)
        assert len(windows) == 104 and all(windows.values())
        assert refused == {}

    def test_a_night_into_an_unknown_year_is_provisional(self) -> None:
        windows, _ = windows_of("2026-12-14", 3)
        assert windows == {
            "2026-12-18": False,
            "2026-12-19": False,
            "2026-12-25": True,
            "2026-12-26": True,
            "2027-01-01": True,
            "2027-01-02": True,
        }

    def test_a_window_starts_in_the_evening_and_ends_next_morning(self) -> None:
        settings = WaveSettings(starts_on=date(2026, 3, 16), horizon_weeks=1)
        (window, _), _ = nights(days_only(settings), settings)
        assert (window.starts, window.ends) == (datetime(2026, 3, 20, 22), datetime(2026, 3, 21, 6))
        assert window.seconds == 8 * 3600

    def test_a_night_offered_on_a_weekday_needs_a_day_off_after_it(self) -> None:
        settings = WaveSettings(starts_on=date(2026, 4, 27), horizon_weeks=1, nights=(0, 1, 2, 3, 4, 5, 6))
        windows, refused = nights(days_only(settings), settings)
        assert [str(window.first_day) for window in windows] == [
            "2026-04-30",  # before Labour Day
            "2026-05-01",
            "2026-05-02",
            "2026-05-03",
        ]
        assert [str(night.day) for night in refused] == ["2026-04-27", "2026-04-28", "2026-04-29"]

    def test_a_calendar_that_is_too_short_is_an_error_not_a_shorter_plan(self) -> None:
        short = days_only(WaveSettings(starts_on=date(2026, 3, 16), horizon_weeks=1))
        with pytest.raises(LookupError, match="2026-03-2"):
            nights(short, WaveSettings(starts_on=date(2026, 3, 16), horizon_weeks=9))

    def test_a_window_that_ends_at_midnight_does_not_touch_the_next_day(self) -> None:
        window = Window("W", datetime(2026, 3, 20, 20), datetime(2026, 3, 21, 0))
        assert window.last_day == date(2026, 3, 20)


def freezes_named(word: str, first: str, weeks: int) -> list[tuple[str, str, bool]]:
    calendar = read_operations_calendar(date.fromisoformat(first), weeks)
    return [(str(each.first), str(each.last), each.provisional) for each in calendar.freezes if word in each.name]


class TestShippedFreezes:
    @pytest.mark.parametrize(
        ("word", "first", "weeks", "periods"),
        [
            pytest.param(
                "春节", "2026-01-05", 20, [("2026-02-13", "2026-02-25", False)], id="Spring Festival 2026"
            ),
            pytest.param(
                "春节", "2030-01-07", 8, [("2030-01-31", "2030-02-11", True)], id="an unknown Spring Festival"
            ),
            pytest.param("国庆", "2026-09-01", 8, [("2026-09-29", "2026-10-09", False)], id="National Day 2026"),
            pytest.param("国庆", "2031-09-01", 8, [("2031-09-29", "2031-10-09", True)], id="National Day 2031"),
            pytest.param(
                "元旦", "2026-12-21", 4, [("2026-12-31", "2027-01-04", True)], id="a turn of unknown years"
            ),
            pytest.param("年终决算", "2026-01-05", 2, [("2025-12-20", "2026-01-10", False)], id="begun last year"),
            pytest.param("征期", "2026-01-20", 4, [("2026-02-01", "2026-02-15", False)], id="every month anew"),
            pytest.param("高考", "2026-03-01", 4, [], id="not in these weeks"),
        ],
    )
    def test_the_shipped_rules_give_these_periods(
        self, word: str, first: str, weeks: int, periods: list[tuple[str, str, bool]]
    ) -> None:
        assert freezes_named(word, first, weeks) == periods

    def test_they_are_marked_illustrative_and_each_names_its_source(self) -> None:
        rules = read_freeze_file()
        assert rules.illustrative
        assert all(freeze.source for freeze in rules.freezes)
        assert len(rules.freezes) >= 15


HEAD = "version: 1\nsectors: {教育: [教委]}\nfreezes:\n"


class TestFreezeFiles:
    @pytest.mark.parametrize(
        ("text", "says"),
        [
            pytest.param(HEAD + "  - {name: 甲, source: 某通知}\n", "exactly one of", id="no rule"),
            pytest.param(
                HEAD + "  - {name: 甲, source: 通知, yearly: {first: '03-03', last: '03-12'},"
                " monthly: {first: 1, last: 2}}\n",
                "exactly one of",
                id="two rules",
            ),
            pytest.param(
                HEAD + "  - {name: 甲, source: 通知, yearly: {first: '02-30', last: '03-12'}}\n",
                "'02-30'",
                id="a day that no year has",
            ),
            pytest.param(
                HEAD + "  - {name: 甲, source: 通知, holiday: {name: easter}}\n",
                "must be one of: anti_fascist",
                id="an unknown holiday, with the valid ones",
            ),
            pytest.param(
                HEAD + "  - {name: 甲, source: 通知, sectors: [水利], monthly: {first: 1, last: 2}}\n",
                "sector '水利'",
                id="a sector that is not defined",
            ),
            pytest.param(
                HEAD + "  - {name: 甲, source: 通知, zones: [外太空], monthly: {first: 1, last: 2}}\n",
                "'外太空'",
                id="an unknown zone",
            ),
            pytest.param(
                HEAD + "  - {name: 甲, source: 通知, monthly: {first: 9, last: 2}}\n",
                "swap them",
                id="days reversed",
            ),
            pytest.param(
                HEAD + "  - {name: 甲, source: 通知, monthly: {first: 1, last: 2}, note: x}\n",
                "freezes.0.note",
                id="an unknown field",
            ),
            pytest.param(
                HEAD + "  - {name: 甲, source: 通知, monthly: {first: 1, last: 2}}\n" * 2,
                "two freezes",
                id="one name twice",
            ),
            pytest.param("version: 2\nfreezes: []\n", "version = 2", id="a version that does not exist"),
            pytest.param("a: [", "UTF-8 YAML is expected", id="no YAML"),
            pytest.param("", "文件/file", id="an empty file"),
        ],
    )
    def test_a_faulty_file_is_refused_in_one_line_with_place_and_rule(
        self, tmp_path: Path, text: str, says: str
    ) -> None:
        path = tmp_path / "freezes.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(FreezeFileError) as fault:
            read_freeze_file(path)
        assert says in str(fault.value) and str(path) in str(fault.value)
        assert "\n" not in str(fault.value)

    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(FreezeFileError, match="no such freeze file"):
            read_freeze_file(tmp_path / "none.yaml")

    def test_fixed_dates_and_leap_days_are_read(self, tmp_path: Path) -> None:
        path = tmp_path / "freezes.yaml"
        path.write_text(
            HEAD + "  - {name: 甲, source: 通知, dates: [{first: 2026-03-20, last: 2026-03-21}]}\n"
            "  - {name: 乙, source: 通知, yearly: {first: '02-28', last: '02-29'}}\n",
            encoding="utf-8",
        )
        calendar = read_operations_calendar(date(2026, 2, 1), 8, path)
        assert [(each.name, str(each.first), str(each.last)) for each in calendar.freezes] == [
            ("乙", "2026-02-28", "2026-02-28"),
            ("甲", "2026-03-20", "2026-03-21"),
        ]
