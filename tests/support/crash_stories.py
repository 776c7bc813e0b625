"""Workflows of a hundred steps to be killed: fan-outs one after another, of steps that read and steps that follow."""

from __future__ import annotations

import random

from tests.support.reuse_world import OPS, Call, Several, Tree

FILES = {"a.py": "one\ntwo\nneedle\n", "b.py": "one\n2\nthree\n", "sub/c.py": "t\n"}


def random_tree(dice: random.Random, stages: int) -> Tree:
    """Ten steps a stage, five branches of two. Some are equal, so that they form pools."""

    def call() -> Call:
        looks = tuple(dice.randrange(len(OPS)) for _ in range(dice.randrange(4)))
        return Call(dice.choice("PQRSTUVWXYZ"), looks, dice.random() < 0.5)

    def branch() -> Tree:
        return Several(False, (call(), call()))

    def stage() -> Tree:
        voter = branch()
        return Several(True, (voter, voter, *(branch() for _ in range(3))))

    return Several(False, tuple(stage() for _ in range(stages)))
