"""Mutants of the budget: what is held, booked and counted, and of what keeps the ledger true."""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Edit, Mutant

_PAY = "shared/use_cases/pay_for_answer.py"
_LADDER = "shared/use_cases/climb_ladder.py"
_AUDIT = "shared/use_cases/audit_budget.py"
_RELEASE = "shared/use_cases/release_reservation.py"
_REPORT = "shared/domain/cost_report.py"
_BUDGET = "shared/domain/budget.py"
_CHARGES = "shared/domain/charges.py"
_PRICES = "shared/domain/model_prices.py"
_QUESTIONS = "shared/domain/questions.py"
_STORE = "shared/adapters/memory/budget.py"
_TABLE = "shared/adapters/aws/budget.py"
_CLAUDE = "shared/adapters/anthropic"

_PAID = "tests/use_cases/test_pay_for_answer.py"
_CLIMBED = "tests/use_cases/test_climb_ladder.py"
_AUDITED = "tests/use_cases/test_audit_budget.py"
_HOLES = "tests/use_cases/test_budget_holes.py"
_LEDGERS = "tests/contract/test_budgets.py"
_FAULTS = "tests/adapters/test_budget_faults.py"

BUDGET_REQUIRED: Final = (
    Mutant(
        name="timed-out call is free",
        breaks="a call that may have been answered costs all that was held",
        edits=(
            Edit(
                _PAY,
                "if reply.billed is Billed.NOTHING:",
                "if reply.billed is Billed.NOTHING or reply.ending is Ending.TIMED_OUT:",
            ),
        ),
    ),
    Mutant(
        name="budget checked then added",
        breaks="checking and adding are one conditional write",
        edits=(
            Edit(
                _PAY, "    Reservation,\n    ReservationId,\n)", "    Reservation,\n    ReservationId,\n    judge,\n)"
            ),
            Edit(
                _PAY,
                "        found = self.budgets.reserve(held.reservation, bounds)\n"
                "        if isinstance(found, Denied) and found.left > 0:",
                "        free = Bounds(day=10**12, month=10**12, envelope=10**12, decisions=10**6)\n"
                "        seen = judge(self.budgets.month(held.reservation.month), held.reservation, bounds)\n"
                "        found = seen or self.budgets.reserve(held.reservation, free)\n"
                "        if isinstance(found, Denied) and found.left > 0:",
            ),
        ),
    ),
    Mutant(
        name="abandoned call is free",
        breaks="what nobody settled expires into spent",
        edits=(Edit(_AUDIT, "cost=held.amount, booked=Booked.ASSUMED", "cost=0, booked=Booked.ASSUMED"),),
    ),
    Mutant(
        name="reservation id used again",
        breaks="an id that was closed is never admitted again",
        edits=(Edit(_BUDGET, "closed={**month.closed, held.id: held.issued_at}", "closed=month.closed"),),
    ),
    Mutant(
        name="reservation closed twice",
        breaks="closing what is not open changes nothing",
        edits=(Edit(_BUDGET, "    if month.open.get(held.id) != held:\n        return month\n", ""),),
    ),
)
"""Bugs that the list of faults names."""

_SETTLING: Final = (
    Mutant(
        name="unknown reply is free",
        breaks="what nobody knows costs all that was held",
        edits=(Edit(_PAY, "if reply.billed is Billed.NOTHING:", "if reply.billed is not Billed.BY_USAGE:"),),
    ),
    Mutant(
        name="answer without a count is free",
        breaks="a reply that counts no tokens costs all that was held",
        edits=(
            Edit(
                _PAY,
                "        usage = reply.usage\n        if reply.billed is Billed.UNKNOWN",
                "        usage = reply.usage\n"
                "        if reply.billed is Billed.BY_USAGE and (not usage or not usage.prompt):\n"
                "            return 0, Booked.SETTLED\n        if reply.billed is Billed.UNKNOWN",
            ),
        ),
        test=f"{_PAID}::TestOneCall::test_an_answer_without_a_count_of_tokens_costs_all_that_was_held",
    ),
    Mutant(
        name="price of the asking alone",
        breaks="a call over a price change costs the dearer price",
        edits=(Edit(_PAY, "for at in (held.issued_at, now))", "for at in (held.issued_at,))"),),
    ),
    Mutant(
        name="price of the settling alone",
        breaks="a call over a price change costs the dearer price",
        edits=(Edit(_PAY, "for at in (held.issued_at, now))", "for at in (now,))"),),
        test=f"{_HOLES}::test_a_call_over_a_falling_price_is_charged_at_the_price_at_which_it_was_asked",
    ),
    Mutant(
        name="cost cut to what was held",
        breaks="what a call really cost is booked whole",
        edits=(
            Edit(
                _PAY,
                "        cost, booked = self._cost(held, reply, now)\n",
                "        cost, booked = self._cost(held, reply, now)\n        cost = min(cost, held.amount)\n",
            ),
        ),
        test=f"{_PAID}::TestOneCall::test_more_than_its_bound_is_booked_whole_and_paged",
    ),
    Mutant(
        name="charge on the day of its settlement",
        breaks="a charge counts on the day on which it was reserved",
        edits=(Edit(_CHARGES, "        day=held.day,\n", "        day=at.date(),\n"),),
    ),
    Mutant(
        name="charge overwritten",
        breaks="the first record of a charge stands",
        edits=(
            Edit(
                _STORE,
                "            return self._days.setdefault(charge.day, {}).setdefault(charge.id, charge)\n",
                "            self._days.setdefault(charge.day, {})[charge.id] = charge\n            return charge\n",
            ),
        ),
    ),
    Mutant(
        name="closed at our own word instead of the record's",
        breaks="the record that stands decides what is booked",
        edits=(Edit(_PAY, "self.budgets.close(held, standing.cost)", "self.budgets.close(held, cost)"),),
        test=f"{_HOLES}::test_a_settlement_after_an_audit_that_died_half_way_books_what_the_audit_recorded",
    ),
    Mutant(
        name="provider's own limit closes nothing",
        breaks="a provider that takes no more money is not asked again that day",
        edits=(Edit(_PAY, "if reply.ending is Ending.SPEND_LIMIT:", "if False:"),),
        test=f"{_PAID}::TestLimits::test_the_providers_own_limit_closes_the_day_without_another_try",
    ),
    Mutant(
        name="second try under the first reservation",
        breaks="every attempt holds its own reservation",
        edits=(
            Edit(
                _PAY,
                "        reply = self.models[offer.provider].ask(held.attempt)\n",
                "        reply = self.models[offer.provider].ask(held.attempt)\n"
                "        if reply.ending in (Ending.THROTTLED, Ending.OVERLOADED):\n"
                "            reply = self.models[offer.provider].ask(held.attempt)\n",
            ),
        ),
    ),
    Mutant(
        name="unreadable ledger counts as free",
        breaks="without the ledger nothing is asked",
        edits=(
            Edit(
                _PAY,
                "            return Denied(why=No.LEDGER_UNREADABLE, wanted=0)\n",
                "            return Held(attempt, self._reservation(attempt, offer, 1, 1, now))\n",
            ),
        ),
    ),
)

_HOLDING: Final = (
    Mutant(
        name="reservation without a margin",
        breaks="the newest tokenizer counts up to 30 % more",
        edits=(Edit(_PRICES, 'INPUT_MARGIN: Final = Decimal("1.3")', 'INPUT_MARGIN: Final = Decimal("1.0")'),),
    ),
    Mutant(
        name="worst case at the price of a read from the cache",
        breaks="a cache that is cold costs more than one that is warm",
        edits=(Edit(_PRICES, 'kinds = ("input", "cache_write") if caches else ("input",)', 'kinds = ("cache_read",)'),),
    ),
    Mutant(
        name="worst case without writing to the cache",
        breaks="the first call over a prefix is the dearer one",
        edits=(Edit(_PRICES, 'kinds = ("input", "cache_write") if caches else ("input",)', 'kinds = ("input",)'),),
    ),
    Mutant(
        name="worst case at the price of a batch",
        breaks="what is held is the dearest price that can apply",
        edits=(
            Edit(
                _PRICES,
                "return _rounded_up(dearest_input * most + dearest_output * output_tokens)",
                "return _rounded_up((dearest_input * most + dearest_output * output_tokens) * BATCH)",
            ),
        ),
    ),
    Mutant(
        name="long prompt held at the price of a short one",
        breaks="the prompt's length decides its price",
        edits=(Edit(_PRICES, "_begins_below(row, most, self._of(model))", "_begins_below(row, 1, self._of(model))"),),
    ),
    Mutant(
        name="expired price used",
        breaks="a price that ended prices nothing",
        edits=(
            Edit(_PRICES, "self.since <= at and (self.until is None or at < self.until)", "self.since <= at"),
            Edit(_PRICES, "self.since <= last and (self.until is None or first < self.until)", "self.since <= last"),
        ),
    ),
    Mutant(
        name="unknown model costs nothing",
        breaks="a model without a price is not asked",
        edits=(
            Edit(
                _PRICES,
                "        kinds = (",
                "        if not rows:\n            return 1\n        kinds = (",
            ),
            Edit(
                _PRICES,
                "            self.row_for(model, instant, most)\n",
                "            if rows:\n                self.row_for(model, instant, most)\n",
            ),
        ),
    ),
    Mutant(
        name="price that changes before the deadline overlooked",
        breaks="what is held is the dearest price of every date until the deadline",
        edits=(
            Edit(_PRICES, "if row.holds_within(first, last) and", "if row.holds_within(first, first) and"),
            Edit(_PRICES, "for instant in (first, last, *_changes(rows, first, last)):", "for instant in (first,):"),
        ),
    ),
    Mutant(
        name="answer shortened below its need",
        breaks="an answer is shortened no further than the question can use",
        edits=(Edit(_PAY, "        if tokens < attempt.question.least_tokens:\n", "        if tokens < 1:\n"),),
        test=f"{_HOLES}::test_an_answer_for_which_too_little_is_left_is_not_asked_shorter_than_its_need",
    ),
    Mutant(
        name="dearest model paid for without a request",
        breaks="the dearest model is asked on a person's request alone",
        edits=(Edit(_PAY, "if offer.rung is Rung.OPUS and not question.request:", "if False:"),),
        test=f"{_PAID}::TestPrices::test_the_dearest_model_is_never_asked_without_a_persons_request",
    ),
    Mutant(
        name="dearest rung climbed and paid for without a request",
        breaks="the dearest model is asked on a person's request alone",
        edits=(
            Edit(_PAY, "if offer.rung is Rung.OPUS and not question.request:", "if False:"),
            Edit(_LADDER, "*([Rung.OPUS] if question.request else [])", "Rung.OPUS"),
        ),
    ),
)

_BOUNDS: Final = (
    Mutant(
        name="day limit not checked",
        breaks="the day's limit is hard",
        edits=(Edit(_BUDGET, "left[No.DAY_SPENT] = bounds.day - day.committed", "left[No.DAY_SPENT] = bounds.day"),),
        test=f"{_LEDGERS}::test_limit_admits_what_reaches_it_and_refuses_one_more_with_what_is_left",
    ),
    Mutant(
        name="month limit not checked",
        breaks="the month's limit is hard",
        edits=(Edit(_BUDGET, "{No.MONTH_SPENT: bounds.month - month.committed}", "{No.MONTH_SPENT: bounds.month}"),),
    ),
    Mutant(
        name="envelope not checked",
        breaks="each envelope keeps to its share",
        edits=(
            Edit(
                _BUDGET,
                "left[No.ENVELOPE_SPENT] = bounds.envelope - day.envelopes.get(wanted.envelope, 0)",
                "left[No.ENVELOPE_SPENT] = bounds.envelope",
            ),
        ),
    ),
    Mutant(
        name="spent money not counted",
        breaks="a limit is compared with what is spent and reserved",
        edits=(
            Edit(
                _BUDGET,
                "{No.MONTH_SPENT: bounds.month - month.committed}",
                "{No.MONTH_SPENT: bounds.month - month.reserved}",
            ),
        ),
    ),
    Mutant(
        name="grant used twice",
        breaks="an allowance serves one call",
        edits=(Edit(_BUDGET, "replace(grants[wanted.grant], used=True)", "replace(grants[wanted.grant], used=False)"),),
    ),
    Mutant(
        name="grant of another day used",
        breaks="an allowance counts on its day",
        edits=(Edit(_BUDGET, "grant.used or grant.day != wanted.day", "grant.used"),),
    ),
    Mutant(
        name="grant raises the month",
        breaks="nothing raises the month's limit",
        edits=(
            Edit(
                _BUDGET,
                "        left[No.GRANT_TOO_SMALL] = grant.amount\n",
                "        left[No.GRANT_TOO_SMALL] = grant.amount\n"
                "        left[No.MONTH_SPENT] += month.granted(wanted.day)\n",
            ),
        ),
        test=f"{_HOLES}::test_an_allowance_given_while_the_month_had_room_does_not_raise_it_when_it_is_used",
    ),
    Mutant(
        name="grant raises the day for everybody",
        breaks="an allowance raises the limit for its own call alone",
        edits=(
            Edit(
                _BUDGET,
                "left[No.DAY_SPENT] = bounds.day - day.committed",
                "left[No.DAY_SPENT] = bounds.day + month.granted(wanted.day) - day.committed",
            ),
        ),
        test=f"{_LEDGERS}::test_granted_call_fits_its_grant_and_the_raised_day_and_other_calls_gain_nothing[memory]",
    ),
    Mutant(
        name="more grants than a day may have",
        breaks="people may allow so many calls a day",
        edits=(Edit(_BUDGET, "if len(of_day) >= rules.grants_a_day:", "if False:"),),
        test=f"{_LEDGERS}::test_fifth_grant_of_a_day_is_refused_and_another_day_has_its_own[memory]",
    ),
    Mutant(
        name="decisions not counted",
        breaks="so many decisions a day are paid for",
        edits=(Edit(_BUDGET, "return new and len(day.decisions) >= bounds.decisions", "return False"),),
    ),
    Mutant(
        name="count of decisions counts calls",
        breaks="the tries of one decision count once",
        edits=(
            Edit(
                _BUDGET,
                "return new and len(day.decisions) >= bounds.decisions",
                "return wanted.decision is not None and day.calls >= bounds.decisions",
            ),
        ),
        test=f"{_PAID}::TestLimits::test_the_21st_decision_of_a_day_is_refused_and_the_tries_of_one_count_once",
    ),
    Mutant(
        name="edge that is down raises the day",
        breaks="money moves between envelopes and the limits stay",
        edits=(
            Edit(_BUDGET, '{**_SHARES, Envelope.DECISIONS: Decimal("0.4"), Envelope.NEWS', "{**_SHARES, Envelope.NEWS"),
        ),
        test=f"{_PAID}::TestLimits::test_while_the_edge_is_down_news_may_use_more_and_decisions_less_and_back",
    ),
    Mutant(
        name="closed day ignored",
        breaks="a day that was closed admits nothing",
        edits=(Edit(_BUDGET, "    if day.closed:\n", "    if False:\n"),),
    ),
    Mutant(
        name="item charged without end",
        breaks="a piece of work is charged three times in its life",
        edits=(Edit(_STORE, "            if count >= most:\n", "            if False:\n"),),
    ),
    Mutant(
        name="claim given back after a charge",
        breaks="only a call that cost nothing leaves its work uncharged",
        edits=(Edit(_PAY, "            if cost == 0 and standing == charge:\n", "            if True:\n"),),
    ),
    Mutant(
        name="claim given back by a settlement that came again",
        breaks="only the settlement that wrote the charge gives its claim back",
        edits=(Edit(_PAY, "if cost == 0 and standing == charge:", "if cost == 0:"),),
        test=f"{_HOLES}::test_a_settlement_that_comes_again_gives_no_claim_of_another_call_back",
    ),
    Mutant(
        name="provider's own limit closes the day of the reservation",
        breaks="a provider that takes no more money is not asked again on the day on which it said so",
        edits=(Edit(_PAY, "self._close_day(self.day_of(now), reply, now)", "self._close_day(held.day, reply, now)"),),
        test=f"{_HOLES}::test_the_providers_own_limit_that_is_heard_of_the_day_after_closes_that_day",
    ),
    Mutant(
        name="claim of another given back",
        breaks="a claim is given back by its own number",
        edits=(Edit(_STORE, "if self._counts.get(work) == number:", "if work in self._counts:"),),
        test="tests/contract/test_work_charges.py::test_only_the_newest_claim_is_taken_back_and_once[memory]",
    ),
)

_LEDGER: Final = (
    Mutant(
        name="forgotten id admitted again",
        breaks="what was issued before the floor is refused",
        edits=(
            Edit(_BUDGET, "    if month.floor is not None and wanted.issued_at <= month.floor:\n", "    if False:\n"),
        ),
        seeds=1_500,
    ),
    Mutant(
        name="floor lowered",
        breaks="what is refused as too old stays so",
        edits=(Edit(_BUDGET, "else max(before, month.floor)", "else before"),),
        test=f"{_LEDGERS}::test_forgetting_up_to_an_earlier_time_admits_nothing_again[memory]",
    ),
    Mutant(
        name="audit gives up calls under way",
        breaks="a reservation is kept until its own time",
        edits=(Edit(_AUDIT, "if held.expires_at <= now]", "if held.issued_at <= now]"),),
    ),
    Mutant(
        name="audit forgets the month before",
        breaks="what was reserved before the month's end is settled after it",
        edits=(
            Edit(
                _AUDIT,
                "dict.fromkeys((month_of(month_of(today) - timedelta(days=1)), month_of(today)))",
                "dict.fromkeys((month_of(today),))",
            ),
        ),
    ),
    Mutant(
        name="audit books over the record that stands",
        breaks="the first record of a charge decides, also for the audit",
        edits=(Edit(_AUDIT, "self.budgets.close(held, standing.cost)", "self.budgets.close(held, held.amount)"),),
    ),
    Mutant(
        name="audit alarmed by a call under way",
        breaks="a day that changes while it is compared is looked at the next time",
        edits=(Edit(_AUDIT, "        if before.day(day) != after.day(day):\n            return\n", ""),),
        test=f"{_HOLES}::test_a_call_that_is_made_and_settled_while_the_audit_reads_alarms_nobody",
    ),
    Mutant(
        name="call under way released",
        breaks="nobody releases a call that may still be charged",
        edits=(Edit(_RELEASE, "        if now <= call_ends:\n", "        if False:\n"),),
        test=f"{_AUDITED}::TestReleasing::test_a_call_that_may_still_be_under_way_is_not_released",
    ),
    Mutant(
        name="released over a charge",
        breaks="a call that was charged meanwhile keeps its charge",
        edits=(Edit(_RELEASE, "self.budgets.close(held, standing.cost)", "self.budgets.close(held, 0)"),),
        test=f"{_AUDITED}::TestReleasing::test_a_charge_that_came_first_stays",
    ),
    Mutant(
        name="spent above its limit goes unnoticed",
        breaks="the audit tells of a day above its limit",
        edits=(
            Edit(_REPORT, "    found += _over(str(day), counters.committed, rules.day + month.granted(day))\n", ""),
        ),
        test=f"{_AUDITED}::TestComparing::test_more_than_the_limit_is_told",
    ),
    Mutant(
        name="records and counters not compared",
        breaks="the audit tells when they differ",
        edits=(Edit(_REPORT, 'on record", counters.spent, _cost(charges))', 'on record", 0, 0)'),),
        test=f"{_AUDITED}::TestComparing::test_counters_that_differ_from_the_records_are_paged_with_both_figures",
    ),
    Mutant(
        name="answers of all models are one",
        breaks="the cache knows who answered",
        edits=(Edit(_QUESTIONS, '            "model": model,\n', ""),),
        test=f"{_CLIMBED}::TestKnownAnswers::test_one_word_another_model_or_effort_is_another_question",
    ),
    Mutant(
        name="two pay for one question",
        breaks="nobody asks what somebody asks just now",
        edits=(Edit(_LADDER, "if not ladder.leases.acquire(", "if False and not ladder.leases.acquire("),),
        test=f"{_CLIMBED}::TestKnownAnswers::test_a_question_that_somebody_asks_right_now_is_not_asked_again",
    ),
    Mutant(
        name="known answer asked again",
        breaks="the same question is paid once while its answer serves",
        edits=(
            Edit(
                _LADDER,
                "return self._from_cache(key, offer) or self._alone(",
                "return self._alone(",
            ),
            Edit(
                _LADDER,
                "found = self._from_cache(key, offer) or self._asked(offer, is_paid=is_paid)",
                "found = self._asked(offer, is_paid=is_paid)",
            ),
        ),
        test=f"{_CLIMBED}::TestKnownAnswers::test_the_same_question_within_a_quarter_of_an_hour_is_paid_once",
    ),
)

_STORES: Final = (
    Mutant(
        name="table: month's limit is no condition",
        breaks="the table itself compares and adds",
        edits=(Edit(_TABLE, '        at_most("committed", month - wanted.amount),\n', ""),),
        test=f"{_LEDGERS}::test_limit_admits_what_reaches_it_and_refuses_one_more_with_what_is_left",
    ),
    Mutant(
        name="table: day's limit is no condition",
        breaks="the table itself compares and adds",
        edits=(Edit(_TABLE, '        at_most(day_name(wanted.day, "committed"), day - wanted.amount),\n', ""),),
        test=f"{_LEDGERS}::test_limit_admits_what_reaches_it_and_refuses_one_more_with_what_is_left",
    ),
    Mutant(
        name="table: envelope is no condition",
        breaks="the table itself compares and adds",
        edits=(Edit(_TABLE, "        at_most(envelope, bounds.envelope - wanted.amount),\n", ""),),
        test=f"{_LEDGERS}::test_envelopes_are_filled_apart_and_the_edge_moves_money_between_them",
    ),
    Mutant(
        name="table: decisions are no condition",
        breaks="the table itself counts decisions",
        edits=(Edit(_TABLE, "        conditions.append(_counted_or_below(name, decision, bounds.decisions))\n", ""),),
        test=f"{_LEDGERS}::test_raced_decisions_stay_within_their_count",
    ),
    Mutant(
        name="table: closed id admitted",
        breaks="an id that was closed is never admitted again",
        edits=(Edit(_TABLE, "            absent(closed_name(wanted.id)),\n", ""),),
        test=f"{_LEDGERS}::test_closed_id_is_not_admitted_again",
    ),
    Mutant(
        name="table: forgotten id admitted",
        breaks="what was issued before the floor is refused",
        edits=(Edit(_TABLE, '            absent("floor") | late,\n', ""),),
        test=f"{_LEDGERS}::test_forgotten_id_is_too_late",
    ),
    Mutant(
        name="table: closed day admits",
        breaks="a day that was closed admits nothing",
        edits=(Edit(_TABLE, '            absent(day_name(wanted.day, "closed")),\n', ""),),
        test=f"{_LEDGERS}::test_closed_day_admits_nothing_and_the_next_day_does",
    ),
    Mutant(
        name="table: closing without a condition",
        breaks="closing what is not open changes nothing",
        edits=(Edit(_TABLE, 'Condition(f"begins_with(#{name}, :start)", {"start": start})', 'absent("nothing")'),),
        test=f"{_LEDGERS}::test_raced_closing_counts_once",
    ),
    Mutant(
        name="table: grant used without a condition",
        breaks="an allowance serves one call",
        edits=(Edit(_TABLE, '        Condition(f"#{name} = :unused", {"unused": item[name]}),\n', ""),),
        test=f"{_LEDGERS}::test_raced_grant_is_used_once",
    ),
    Mutant(
        name="table: reservation of another taken for ours",
        breaks="a reservation carries the token of the write that made it",
        edits=(
            Edit(
                _TABLE, "return item is not None and item.get(name) == text", "return item is not None and name in item"
            ),
        ),
        test=f"{_FAULTS}::test_same_reservation_by_another_caller_is_not_taken_for_ours",
    ),
    Mutant(
        name="table: lost answer over a closed id taken for a refusal",
        breaks="what cannot be told apart is unknown",
        edits=(Edit(_TABLE, "if outcome.repeated and wanted.id in month.closed:", "if False:"),),
        test=f"{_FAULTS}::test_reservation_that_was_closed_before_the_repeat_is_unknown_instead_of_made_again",
    ),
    Mutant(
        name="table: claim without a condition",
        breaks="a piece of work is charged three times in its life",
        edits=(Edit(_TABLE, 'when=at_most("count", most - 1)', 'when=absent("nothing")'),),
        test="tests/contract/test_work_charges.py::test_work_is_claimed_so_often_and_then_no_more",
    ),
    Mutant(
        name="table: claim given back without its token",
        breaks="nobody takes back the claim of another",
        edits=(
            Edit(
                _TABLE,
                'Condition("#count = :number AND #token = :seen", {"number": number, "seen": item["token"]})',
                'Condition("#count = :number", {"number": number})',
            ),
        ),
        test=f"{_FAULTS}::test_lost_return_never_takes_the_claim_of_another",
    ),
    Mutant(
        name="table: charge overwritten",
        breaks="the first record of a charge stands",
        edits=(Edit(_TABLE, "charge, when=ABSENT)", "charge)"),),
        test="tests/contract/test_charges.py::test_earlier_record_decides",
    ),
    Mutant(
        name="library repeats a call by itself",
        breaks="one attempt is one request on the wire",
        edits=(Edit(f"{_CLAUDE}/sdk.py", "        max_retries=0,\n", "        max_retries=2,\n"),),
        test="tests/adapters/test_claude_faults.py::TestEveryMisbehaviour::test_has_its_ending_and_is_booked_at_least_at_what_was_charged",
    ),
    Mutant(
        name="call that ran out of time is reported as free",
        breaks="what was sent may have been answered",
        edits=(
            Edit(
                f"{_CLAUDE}/messages.py",
                "ending=Ending.TIMED_OUT, billed=Billed.UNKNOWN",
                "ending=Ending.TIMED_OUT, billed=Billed.NOTHING",
            ),
        ),
        test="tests/contract/test_models.py::TestTheNetwork::"
        "test_nothing_is_waited_for_past_the_deadline_and_what_was_sent_costs_its_bound",
    ),
)

BUDGET: Final = (*_SETTLING, *_HOLDING, *_BOUNDS, *_LEDGER, *_STORES)
"""What is booked, held and compared, what keeps the ledger true, and what table and provider promise."""
