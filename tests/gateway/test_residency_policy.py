"""The policy of who is in memory, against whatever order of events hypothesis thinks of."""

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from families.manifest import Component
from gateway.domain.errors import InsufficientMemory
from gateway.domain.residency import Footprint, Unit, UnitState
from gateway.pipelines.residency.policy import Moves, ResidencyPolicy, Ticket

BUDGET = 100
UNITS = tuple(Unit(f"m{number}", part) for number in range(3) for part in (Component.TEXT_ENCODER, Component.DENOISER))
A, B, C = UNITS[:3]
FINDS = st.integers(1, 80)


def policy_of(budget: int | None = BUDGET, pinned: tuple[Unit, ...] = (), **sizes: int) -> ResidencyPolicy:
    names = {"a": A, "b": B, "c": C}
    return ResidencyPolicy(budget, {names[name]: Footprint(size, True) for name, size in sizes.items()}, pinned)


def load(policy: ResidencyPolicy, unit: Unit, now: float = 0.0) -> Ticket:
    """Ask for an idle memory's unit and have it."""
    ticket = policy.ask(unit)
    assert policy.advance() == Moves(load=(unit,))
    policy.loaded(unit, now)
    assert policy.advance() == Moves()
    assert ticket.granted
    return ticket


def test_the_least_recently_used_leaves_first() -> None:
    policy = policy_of(a=40, b=40, c=50)
    policy.give_up(load(policy, A), 1)
    policy.give_up(load(policy, B), 2)
    again = policy.ask(A)
    assert policy.advance() == Moves() and again.granted
    policy.give_up(again, 3)
    policy.ask(C)
    assert policy.advance() == Moves(unload=(B,))
    assert policy.advance() == Moves(), "nothing comes in before the memory was given back"
    policy.unloaded(B)
    assert policy.advance() == Moves(load=(C,))


def test_who_waits_for_room_is_not_overtaken_for_ever() -> None:
    policy = policy_of(a=60, b=60)
    first = load(policy, A)
    second = policy.ask(A)
    policy.advance()
    assert second.granted
    waiting = policy.ask(B)
    policy.advance()
    third = policy.ask(A)
    policy.advance()
    assert not waiting.granted and not third.granted, "what is to leave takes nobody new"
    assert (policy.position(waiting), policy.position(third)) == (0, 1)
    policy.give_up(first, 1)
    assert policy.advance() == Moves()
    policy.give_up(second, 2)
    assert policy.advance() == Moves(unload=(A,))
    policy.unloaded(A)
    assert policy.advance() == Moves(load=(B,))
    policy.loaded(B, 3)
    # A is wanted too, but B was brought in for somebody.
    assert policy.advance() == Moves() and waiting.granted
    policy.give_up(waiting, 4)
    assert policy.advance() == Moves(unload=(B,))


def test_who_gives_up_waiting_blocks_nobody() -> None:
    policy = policy_of(a=60, b=60)
    load(policy, A)
    waiting = policy.ask(B)
    policy.advance()
    blocked = policy.ask(A)
    policy.advance()
    policy.give_up(waiting, 1)
    assert policy.advance() == Moves()
    assert blocked.granted


def test_what_can_never_fit_is_refused_at_once() -> None:
    policy = policy_of(a=101, b=60, c=60, pinned=(B,))
    with pytest.raises(InsufficientMemory, match=r"m0\.text_encoder needs 101 bytes .* budget is 100 bytes"):
        policy.ask(A)
    with pytest.raises(InsufficientMemory, match=r"of which pinned models keep 60"):
        policy.ask(C)
    with pytest.raises(InsufficientMemory):
        policy_of(a=60, b=60, pinned=(A, B))


def test_what_was_never_measured_comes_in_alone_and_keeps_all_room_until_it_is() -> None:
    policy = ResidencyPolicy(BUDGET, {A: Footprint(60, False), B: Footprint(10, True), C: Footprint(10, True)}, (C,))
    policy.give_up(load(policy, C), 1)
    policy.give_up(load(policy, B), 2)
    first = policy.ask(A)
    assert policy.advance() == Moves(unload=(B,))
    policy.unloaded(B)
    assert policy.advance() == Moves(load=(A,))
    assert policy.used == BUDGET, "all that the pinned unit leaves"
    policy.loaded(A, 3)
    waiting = policy.ask(B)
    assert policy.advance() == Moves() and first.granted and policy.is_to_be_measured(A)
    policy.measured(A, 70)
    assert policy.advance() == Moves(load=(B,)) and policy.used == BUDGET - 10 and not waiting.granted


def test_what_is_to_have_larger_calls_leaves_and_comes_in_alone() -> None:
    policy = policy_of(a=40, b=40)
    held = load(policy, A)
    policy.give_up(load(policy, B), 1)
    policy.outgrown(A)
    assert not policy.is_to_be_measured(A), "it is not alone"
    larger = policy.ask(A)
    assert policy.advance() == Moves() and not larger.granted, "a smaller call is still under way"
    policy.give_up(held, 2)
    assert policy.advance() == Moves(unload=(A,))
    policy.unloaded(A)
    assert policy.advance() == Moves(unload=(B,))
    policy.unloaded(B)
    assert policy.advance() == Moves(load=(A,))
    policy.loaded(A, 3)
    assert policy.advance() == Moves() and larger.granted
    policy.outgrown(A)
    policy.measured(A, 60)
    assert policy.used == 60, "it is alone already"


def test_what_turns_out_too_large_fails_who_waits() -> None:
    policy = policy_of(a=50, b=60)
    held = load(policy, A)
    policy.measured(A, 150)
    policy.give_up(held, 1)
    assert policy.advance() == Moves(unload=(A,))
    policy.unloaded(A)
    with pytest.raises(InsufficientMemory):
        policy.ask(A)


def test_pinned_units_stay() -> None:
    policy = policy_of(a=50, b=50, c=50, pinned=(A,))
    policy.give_up(load(policy, A), 1)
    policy.give_up(load(policy, B), 2)
    policy.ask(C)
    assert policy.advance() == Moves(unload=(B,))
    policy.expire(1000, 1)
    assert policy.advance() == Moves()


def test_idle_units_leave_after_a_while() -> None:
    policy = policy_of(a=10, b=10, budget=None)
    policy.give_up(load(policy, A), 10)
    load(policy, B)
    policy.expire(14, 5)
    assert policy.advance() == Moves()
    policy.expire(15, 5)
    assert policy.advance() == Moves(unload=(A,)), "B is in use"


def test_a_failed_load_tells_who_waits_and_gives_its_room_back() -> None:
    policy = policy_of(a=60, b=60)
    ticket, other = policy.ask(A), policy.ask(B)
    policy.advance()
    policy.failed(A, failure := RuntimeError("no such file"))
    assert ticket.failure is failure
    assert policy.advance() == Moves(load=(B,)) and other.failure is None


def test_what_was_lost_is_loaded_anew() -> None:
    policy = policy_of(a=60)
    held = load(policy, A)
    policy.lost(A)
    assert policy.used == 0
    policy.ask(A)
    assert policy.advance() == Moves(load=(A,))
    policy.give_up(held, 1)
    policy.loaded(A, 1)
    policy.renew(A)
    assert policy.advance() == Moves(unload=(A,))


class Machine(RuleBasedStateMachine):
    """A memory that keeps its plans and a crowd that asks for everything. `really` is what lies in memory."""

    @initialize(
        sizes=st.lists(st.tuples(st.integers(1, 70), st.booleans()), min_size=6, max_size=6),
        pinned=st.sets(st.sampled_from(UNITS[:2]), max_size=1),
    )
    def begin(self, sizes: list[tuple[int, bool]], pinned: set[Unit]) -> None:
        footprints = {unit: Footprint(*size) for unit, size in zip(UNITS, sizes, strict=True)}
        self.policy = ResidencyPolicy(BUDGET, footprints, pinned)
        self.pinned = pinned
        self.now = 0.0
        self.tickets: list[Ticket] = []
        self.loading: list[Unit] = []
        self.unloading: list[Unit] = []
        self.order: dict[Ticket, int] = {}

    def advance(self) -> None:
        moves = self.policy.advance()
        for unit in moves.unload:
            assert not any(ticket.granted and ticket.unit == unit for ticket in self.tickets), "it was in use"
            assert unit not in self.pinned or self.was_renewed
        self.loading += moves.load
        self.unloading += moves.unload
        self.now += 1

    was_renewed = False

    @rule(unit=st.sampled_from(UNITS))
    def ask(self, unit: Unit) -> None:
        with suppress(InsufficientMemory):
            self.tickets.append(self.policy.ask(unit))
        self.advance()

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.tickets))
        self.tickets.remove(ticket)
        self.policy.give_up(ticket, self.now)
        self.advance()

    @precondition(lambda self: self.loading)
    @rule(works=st.booleans())
    def load_ends(self, works: bool) -> None:
        unit = self.loading.pop(0)
        if works:
            self.policy.loaded(unit, self.now)
        else:
            self.policy.failed(unit, RuntimeError("broken"))
        self.advance()

    @precondition(lambda self: self.unloading)
    @rule(data=st.data())
    def unload_ends(self, data: st.DataObject) -> None:
        unit = data.draw(st.sampled_from(self.unloading))
        self.unloading.remove(unit)
        self.policy.unloaded(unit)
        self.advance()

    @rule(size=FINDS)
    def measure(self, size: int) -> None:
        for status in self.policy.status():
            if self.policy.is_to_be_measured(status.unit):
                assert status.bytes == self.policy.room(status.unit) or status.unit in self.pinned
                self.policy.measured(status.unit, min(size, self.policy.room(status.unit)))
        self.advance()

    @rule(unit=st.sampled_from(UNITS))
    def outgrown(self, unit: Unit) -> None:
        self.was_renewed = True
        self.policy.outgrown(unit)
        self.advance()

    @rule(seconds=st.integers(0, 5))
    def expire(self, seconds: int) -> None:
        self.policy.expire(self.now, seconds)
        self.advance()

    @rule(unit=st.sampled_from(UNITS))
    def renew(self, unit: Unit) -> None:
        self.was_renewed = True
        self.policy.renew(unit)
        self.advance()

    @invariant()
    def never_over_the_budget(self) -> None:
        taken = [s for s in self.policy.status() if s.state is not UnitState.UNLOADED]
        assert self.policy.used == sum(status.bytes for status in taken) <= BUDGET
        assert len(self.loading) <= 1

    @invariant()
    def what_is_leased_is_loaded(self) -> None:
        states = {status.unit: status.state for status in self.policy.status()}
        assert all(states[ticket.unit] is UnitState.LOADED for ticket in self.tickets if ticket.granted)

    def teardown(self) -> None:
        """Whatever happened: if loads and unloads work and leases end, everybody is served, without asking again."""
        waiting = [ticket for ticket in self.tickets if not ticket.granted and ticket.failure is None]
        rounds = 0
        while waiting:
            rounds += 1
            assert rounds <= 10 * (len(UNITS) + len(self.tickets)), "somebody starves"
            for unit in self.unloading:
                self.policy.unloaded(unit)
            self.unloading = []
            for unit in self.loading:
                self.policy.loaded(unit, self.now)
            self.loading = []
            for status in self.policy.status():
                if self.policy.is_to_be_measured(status.unit):
                    self.policy.measured(status.unit, 1)
            for ticket in [ticket for ticket in self.tickets if ticket.granted]:
                self.tickets.remove(ticket)
                self.policy.give_up(ticket, self.now)
            self.advance()
            # Somebody else never stops asking for what is there already.
            self.crowd()
            waiting = [ticket for ticket in waiting if not ticket.granted and ticket.failure is None]

    def crowd(self) -> None:
        for status in self.policy.status():
            if status.state is UnitState.LOADED and self.possible(status.unit):
                self.tickets.append(self.policy.ask(status.unit))
        self.advance()

    def possible(self, unit: Unit) -> bool:
        try:
            self.policy.check(unit)
        except InsufficientMemory:
            return False
        return True


TestEveryOrderOfEvents = Machine.TestCase
TestEveryOrderOfEvents.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
