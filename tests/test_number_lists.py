"""Who may receive: lists of numbers and beginnings, line types, and which of them wins."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from otp_service.cli.findings import of_config
from otp_service.errors import RecipientBlocked
from otp_service.number_lists import Entry, Lists, NumberList, Verdict, judge
from otp_service.policy import Client
from otp_service.recipient import NEVER_OPENED, NEVER_SENT, LineType
from otp_service.verifier import ResendRequest
from tests.test_config import SECRET_KEY, read, refusal
from tests.world import BANK, NUMBER, World

OWN_LANDLINE = "+861064001234"


def listed(*entries: str) -> NumberList:
    return NumberList.of((entry, "recipients.block") for entry in entries)


def configured(folder: Path = Path(), environ: dict[str, str] | None = None, **recipients: object) -> Lists:
    rules = read(environ, folder, recipients=recipients).rules()
    return rules.lists.get("*", Lists())


def refused_by(world: World, to: str, client: Client = BANK) -> str:
    with pytest.raises(RecipientBlocked) as refused:
        world.start(to, client=client)
    assert to.removeprefix("+86") not in refused.value.detail
    return refused.value.detail


class TestAList:
    def test_finds_a_number_and_every_number_with_a_beginning(self) -> None:
        """And neither a neighbour nor a longer number that begins with a whole one."""
        both = listed(NUMBER, "+8617*")

        assert both.find(NUMBER) == Entry(15, "recipients.block")
        assert both.find("+8617012345678") == Entry(5, "recipients.block")
        assert both.find(NUMBER[:-1] + "1") is both.find(NUMBER + "1") is both.find("+86") is None

    def test_of_its_beginnings_takes_the_longest(self) -> None:
        """The most exact entry speaks."""
        many = NumberList.of([("+86*", "a"), ("+86138*", "b"), ("+8613*", "c")])

        assert many.find(NUMBER) == Entry(6, "b")

    def test_shows_no_number_when_printed(self) -> None:
        """A list of numbers is a list of people."""
        assert repr(Lists(listed(NUMBER))) == "Lists(block=NumberList(1 entries), allow=NumberList(0 entries))"
        assert NUMBER not in repr(read(recipients={"block": [NUMBER]}))

    def test_of_any_length_is_asked_at_most_once_for_each_length_of_a_number(self) -> None:
        """So a start costs the same whether ten or 10^5 are listed."""
        chance = random.Random(4)
        entries = (f"+{chance.randrange(10**14, 10**15)}"[: chance.randint(2, 16)] + "*" for _ in range(20_000))

        assert len(listed(*entries).lengths) <= 15


@pytest.mark.parametrize(
    ("block", "allow", "verdict"),
    [
        ([], [], None),
        ([NUMBER], [], Verdict(True, "block")),
        ([], ["+86*"], Verdict(False, "allow")),
        (["+86138*"], [NUMBER], Verdict(False, "allow")),
        ([NUMBER], ["+86138*"], Verdict(True, "block")),
        (["+86*"], ["+86138*"], Verdict(False, "allow")),
        (["+86138*"], ["+86138*"], Verdict(True, "block")),
    ],
)
def test_the_most_exact_entry_decides_whichever_list_it_is_in(
    block: list[str], allow: list[str], verdict: Verdict | None
) -> None:
    lists = Lists(NumberList.of((e, "block") for e in block), NumberList.of((e, "allow") for e in allow))
    assert judge([lists], NUMBER) == verdict


class TestTheConfiguration:
    def test_takes_numbers_as_they_are_dialled_and_beginnings(self) -> None:
        """One spelling or another: the recipient is the same."""
        lists = configured(block=["138 0013 8000", "+86 17*"], allow=["010-6400 1234"])

        assert set(lists.block.numbers) == {NUMBER}
        assert set(lists.block.beginnings) == {"+8617"}
        assert set(lists.allow.numbers) == {OWN_LANDLINE}

    def test_takes_them_from_the_environment(self) -> None:
        """As every list."""
        assert set(configured(environ={"OTP_RECIPIENTS__BLOCK": f"{NUMBER},+8617*"}).block.numbers) == {NUMBER}

    def test_takes_a_long_list_from_a_file_beside_the_short_one(self, tmp_path: Path) -> None:
        """The file lies where the configuration lies; comments and empty lines are for people."""
        (tmp_path / "blocked.txt").write_text("\ufeff# known pumpers\n+8617*  # virtual operators\n\n13800138001\n")
        lists = configured(tmp_path, block=[NUMBER], block_file="blocked.txt")

        assert set(lists.block.numbers) == {NUMBER, "+8613800138001"}
        assert lists.block.find("+8617012345678") == Entry(5, "recipients.block_file")

    def test_takes_a_file_from_the_environment_without_losing_the_list_of_the_file(self, tmp_path: Path) -> None:
        """It adds to it: only a secret has one place."""
        (tmp_path / "b").write_text("+8613800138001")
        environ = {"OTP_RECIPIENTS__BLOCK_FILE": str(tmp_path / "b")}

        assert len(configured(Path("elsewhere"), environ, block=[NUMBER]).block) == 2

    def test_reads_a_hundred_thousand_numbers_once(self, tmp_path: Path) -> None:
        """However often it is asked what the rules are."""
        (tmp_path / "b").write_text("\n".join(f"+861380{n:07d}" for n in range(100_000)))
        loaded = read(folder=tmp_path, recipients={"block_file": "b"})

        assert len(loaded.rules().lists["*"].block) == 100_000
        assert loaded.rules().lists["*"] is loaded.rules().lists["*"]

    def test_names_the_place_of_what_it_cannot_read_and_shows_no_number(self, tmp_path: Path) -> None:
        """A line of a file by its number; a file that is wrong from end to end not line by line."""
        (tmp_path / "b").write_text("+8613800138001\n# fine\n1380013800\n")
        text = refusal(folder=tmp_path, recipients={"block": ["+8617", "17*"], "block_file": "b"})

        assert "recipients.block[0]: No such number" in text
        assert 'as "+8617*"' in text
        assert "recipients.block[1]: Write the beginning of a number with +" in text
        assert "recipients.block_file: line 3 of b: No such number" in text
        assert "1380013800" not in text
        (tmp_path / "b").write_text("name,number\n" * 1000)
        assert len(refusal(folder=tmp_path, recipients={"block_file": "b"}).splitlines()) == 6

    @pytest.mark.parametrize(
        ("recipients", "said"),
        [
            ({"block_file": "none.txt"}, "recipients.block_file: can't read"),
            ({"block_file": 5}, "recipients.block_file: not text in quotes; write the path of a file"),
            (
                {"blok": []},
                "recipients.blok: unknown key; allowed here: block, block_file, allow, allow_file, line_types",
            ),
            ({"block": [8613900139000]}, "recipients.block[0]: not text in quotes"),
            (
                {"block": ["+8613900139000"], "allow": ["13900139000"]},
                "recipients: 1 entries are in both block and allow",
            ),
            ({"line_types": {"premium_rate": True}}, "recipients.line_types.premium_rate: unknown key"),
            ({"line_types": {"voip": "maybe"}}, "recipients.line_types.voip: neither true nor false"),
        ],
        ids=str,
    )
    def test_says_what_is_wrong(self, recipients: dict[str, object], said: str) -> None:
        text = refusal(recipients=recipients)

        assert said in text
        assert "13900139000" not in text
        assert SECRET_KEY not in text

    def test_of_a_client_adds_to_that_of_the_installation(self) -> None:
        """And names itself in what it refuses."""
        lists = read(clients__block=[NUMBER], recipients={"allow": ["+86138*"]}).rules().lists

        assert judge([lists["*"], lists["shop"]], NUMBER) == Verdict(True, "clients.shop.block")


def test_doctor_counts_the_entries_of_each_list() -> None:
    loaded = read(recipients={"block": ["+8617*"]}, clients__allow=[NUMBER])
    said = [finding.text for finding in of_config(loaded) if finding.about.startswith("recipients")]
    assert said == [f"{n} entries block and {1 - n} allow numbers and beginnings" for n in (1, 0)]


class TestTheService:
    @pytest.fixture
    def blocking(self, world: World) -> World:
        rules = read(
            recipients={"block": ["+86138*", "+8617*"], "allow": [NUMBER, OWN_LANDLINE, "+12025550123"]},
            clients__block=["+8613912345678"],
        ).rules()
        return world.with_rules(lists=rules.lists, refused_lines=rules.refused_lines)

    def test_refuses_a_blocked_number_naming_the_setting_and_counts_and_queues_nothing(self, blocking: World) -> None:
        assert "recipients.block" in refused_by(blocking, "+8613800138001")
        assert "recipients.block" in refused_by(blocking, "+8617012345678")
        assert blocking.server.client.dbsize() == 0

    def test_sends_to_an_allowed_one_in_spite_of_block_line_type_and_region(self, blocking: World) -> None:
        for to in (NUMBER, OWN_LANDLINE, "+12025550123"):
            assert blocking.start(to).created

    def test_refuses_a_client_what_only_its_own_list_blocks(self, blocking: World) -> None:
        assert "clients.shop.block" in refused_by(blocking, "+8613912345678", Client("shop", BANK.purposes))
        assert blocking.start("+8613912345678", client=BANK).created

    def test_sends_no_second_time_to_a_number_that_was_blocked_meanwhile(self, world: World) -> None:
        """The lists may have grown between a start and its resend."""
        id = world.start().verification.id
        world.with_rules(lists={"*": Lists(listed(NUMBER))}).move_clock(61)
        with pytest.raises(RecipientBlocked, match=r"recipients\.block"):
            world.verifier.resend(Client("shop", BANK.purposes), id, ResendRequest())

    def test_answers_alike_for_an_account_that_is_not_known(self, blocking: World) -> None:
        """T33: it depends on the number only."""
        said = set()
        for deliver in (True, False):
            with pytest.raises(RecipientBlocked) as refused:
                blocking.start("+8613800138001", deliver=deliver)
            said.add(refused.value.detail)
        assert len(said) == 1

    def test_takes_no_internet_telephones_and_takes_landlines_where_the_settings_say_so(self, world: World) -> None:
        rules = read(recipients={"line_types": {"voip": False, "fixed_line": True}}).rules()
        world.with_rules(refused_lines=rules.refused_lines, regions=frozenset({"*"}))
        assert "recipients.line_types.voip" in refused_by(world, "+445612345678")
        assert world.start(OWN_LANDLINE).created
        world.with_rules(refused_lines=NEVER_SENT)
        assert "recipients.line_types.fixed_line" in refused_by(world, OWN_LANDLINE)

    @pytest.mark.parametrize(
        "to", ["+449012345678", "+864001234567", "+447012345678", "+881612345678", "+88213300655", "+979123456789"]
    )
    def test_never_sends_where_money_is_made_of_it_whatever_is_allowed(self, world: World, to: str) -> None:
        """T45: a list that is too wide must not open a premium number."""
        world.with_rules(lists={"*": Lists(allow=listed("+*", to))}, refused_lines=frozenset(), regions=frozenset("*"))
        assert "no setting opens them" in refused_by(world, to)
        assert world.server.client.dbsize() == 0


def test_what_no_list_opens_is_part_of_what_is_never_sent() -> None:
    assert NEVER_OPENED < NEVER_SENT
    assert LineType.FIXED_LINE not in NEVER_OPENED
