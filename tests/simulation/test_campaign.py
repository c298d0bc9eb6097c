"""A campaign runs the kept seeds first and stops when it was told to."""

from __future__ import annotations

from pathlib import Path

from hearthwatch.simulation.campaign import kept_seeds, run_campaign


def test_kept_seeds_are_read_one_a_line_and_words_after_them_are_for_people(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    path.write_text("# a comment\n17 what it found\n\n588\n", encoding="utf-8")
    assert kept_seeds(path) == [17, 588]


def test_kept_seeds_come_before_the_new_ones() -> None:
    assert run_campaign(seeds=1, kept=True).seeds == len(kept_seeds()) + 1
    assert run_campaign(seeds=1, kept=False).seeds == 1


def test_no_seed_begins_after_the_time_is_over() -> None:
    assert run_campaign(seconds=0).seeds == 0


def test_progress_is_told_seed_by_seed() -> None:
    done: list[int] = []
    run_campaign(seeds=3, kept=False, progress=done.append)
    assert done == [1, 2, 3]
