"""The filter as data, run against every system call of both architectures.

The names come from the kernel's own tables, frozen in the tests, so that a wrong number in ours shows.
"""

from __future__ import annotations

import errno
import itertools
import struct
from dataclasses import dataclass

import pytest

from tests.support.bpf import Program, Refused
from tests.support.syscall_table import CLOCKS, FREE, NEVER_EXECUTABLE, ONLY_OLD, PROBES, SOCKET_ONLY, names_of
from vibe_workflows.sandbox.bpf import ALLOW, ERRNO, KILL_PROCESS
from vibe_workflows.sandbox.lockdown import SOCKET_FD
from vibe_workflows.sandbox.seccomp import ARCHITECTURES, build_filter

KILL, DENIED, BAD_FD = KILL_PROCESS, ERRNO | errno.EACCES, ERRNO | errno.EBADF

I386, ARM, RISCV64, X86_64_OF_32_BITS = 0x4000_0003, 0x4000_0028, 0xC000_00F3, 0x4000_003E
X32 = 0x4000_0000
HIGH = 1 << 32
PROT_READ, PROT_WRITE, PROT_EXEC = 1, 2, 4

#: Values that an argument takes in the sweep: small ones, file descriptors around ours, whole words.
INTERESTING = (0, 1, 2, SOCKET_FD, 4, 7, 0xFFFF_FFFF, HIGH | SOCKET_FD, HIGH | PROT_EXEC, (1 << 64) - 1)


@dataclass(frozen=True, slots=True)
class Kernel:
    """One architecture: our filter, and what the kernel's own table calls each number."""

    machine: str
    audit: int
    program: Program
    names: dict[int, str]

    def number(self, name: str) -> int:
        (found,) = [number for number, each in self.names.items() if each == name]
        return found

    def verdict(self, name: str, *arguments: int) -> int:
        return self.program.verdict(self.audit, self.number(name), arguments)


@pytest.fixture(params=sorted(ARCHITECTURES))
def kernel(request: pytest.FixtureRequest) -> Kernel:
    arch = ARCHITECTURES[request.param]
    return Kernel(request.param, arch.audit, Program(build_filter(arch, SOCKET_FD)), names_of(request.param))


def expected(name: str | None, arguments: tuple[int, ...]) -> int:
    """The contract: what the kernel has to do with a call of this name."""
    if name in SOCKET_ONLY:
        # The kernel takes a file descriptor from the low half of its register, and so does the filter.
        return ALLOW if arguments[0] & 0xFFFF_FFFF == SOCKET_FD else BAD_FD
    if name in NEVER_EXECUTABLE:
        return KILL if arguments[2] & PROT_EXEC else ALLOW
    if name in CLOCKS:
        return ALLOW if arguments[0] & 0xFFFF_FFFF < 16 else DENIED
    if name in FREE:
        return ALLOW
    return DENIED if name in PROBES else KILL


def test_every_number_gets_the_verdict_of_its_name_whatever_its_arguments(kernel: Kernel) -> None:
    wrong = []
    for number in range(1025):
        name = kernel.names.get(number)
        for first, third in itertools.product(INTERESTING, repeat=2):
            arguments = (first, 4096, third, 0x22, SOCKET_FD, 0)
            if kernel.program.verdict(kernel.audit, number, arguments) != expected(name, arguments):
                wrong.append((number, name, arguments))
    assert wrong == []


def test_nothing_outside_of_the_list_is_ever_allowed(kernel: Kernel) -> None:
    allowed = {
        kernel.names.get(number, f"unknown {number}")
        for number in range(1025)
        for arguments in itertools.product((0, SOCKET_FD, PROT_READ), (0,), (0, PROT_READ))
        if kernel.program.verdict(kernel.audit, number, arguments) == ALLOW
    }
    assert allowed == SOCKET_ONLY | NEVER_EXECUTABLE | CLOCKS | FREE


def test_our_numbers_are_the_numbers_of_the_kernel(kernel: Kernel) -> None:
    ours = ARCHITECTURES[kernel.machine]
    assert {name: number for name, number in ours.numbers.items() if kernel.names.get(number) != name} == {}
    listed = SOCKET_ONLY | NEVER_EXECUTABLE | CLOCKS | FREE | PROBES
    assert listed - set(ours.numbers) == (ONLY_OLD if kernel.machine == "aarch64" else frozenset())
    assert kernel.names[ours.seccomp] == "seccomp"
    assert kernel.names[ours.capset] == "capset"


def test_the_calls_of_landlock_have_one_number_everywhere(kernel: Kernel) -> None:
    assert [kernel.names[number] for number in (444, 445, 446)] == [
        "landlock_create_ruleset",
        "landlock_add_rule",
        "landlock_restrict_self",
    ]


def test_upper_halves_of_arguments_decide_nothing_that_the_kernel_ignores(kernel: Kernel) -> None:
    """`read(unsigned int fd, ...)`: the register's upper half is dropped before the file is looked up."""
    for name in SOCKET_ONLY:
        assert kernel.verdict(name, HIGH | SOCKET_FD) == ALLOW
        assert kernel.verdict(name, HIGH) == BAD_FD
        assert kernel.verdict(name, SOCKET_FD << 32) == BAD_FD
    for name in NEVER_EXECUTABLE:
        assert kernel.verdict(name, 0, 4096, HIGH | PROT_READ | PROT_EXEC) == KILL
        assert kernel.verdict(name, 0, 4096, PROT_EXEC << 32) == ALLOW  # no bit that makes memory executable


def test_memory_that_is_writable_or_readable_is_given_and_executable_never(kernel: Kernel) -> None:
    for name in NEVER_EXECUTABLE:
        for protection in range(8):
            verdict = kernel.verdict(name, 0, 4096, protection)
            assert verdict == (KILL if protection & PROT_EXEC else ALLOW)


def test_the_x32_table_is_shut(kernel: Kernel) -> None:
    for number in range(1025):
        assert kernel.program.verdict(kernel.audit, X32 | number, (SOCKET_FD,)) == KILL
        assert kernel.program.verdict(kernel.audit, 0x8000_0000 | number, (SOCKET_FD,)) == KILL
    assert kernel.program.verdict(kernel.audit, 0xFFFF_FFFF) == KILL  # what a tracer sets to skip a call


def test_the_tables_of_other_architectures_are_shut(kernel: Kernel) -> None:
    others = {arch.audit for arch in ARCHITECTURES.values()} - {kernel.audit}
    for audit in (*others, I386, ARM, RISCV64, X86_64_OF_32_BITS, 0, 0xFFFF_FFFF):
        allowed = [number for number in range(1025) if kernel.program.verdict(audit, number, (SOCKET_FD, 0, 0)) != KILL]
        assert allowed == []


def test_only_the_given_socket_is_let_through() -> None:
    for fd in (0, 3, 9, 255):
        program = Program(build_filter(ARCHITECTURES["x86_64"], fd))
        allowed = [each for each in range(300) if program.verdict(0xC000_003E, 0, (each,)) == ALLOW]
        assert allowed == [fd]


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ([], "0 instructions"),
        ([(0x20, 0, 0, 0)], "does not end"),
        ([(0x20, 0, 0, 64), (0x06, 0, 0, 0)], "outside"),
        ([(0x20, 0, 0, 2), (0x06, 0, 0, 0)], "outside"),
        ([(0x15, 1, 0, 0), (0x06, 0, 0, 0)], "past its end"),
        ([(0x05, 0, 0, 1), (0x06, 0, 0, 0)], "past its end"),
        ([(0x28, 0, 0, 0), (0x06, 0, 0, 0)], "operation"),
        ([(0x06, 0, 0, 0)] * 4097, "instructions"),
    ],
)
def test_a_program_that_the_kernel_would_not_load_is_noticed(code: list[tuple[int, ...]], why: str) -> None:
    with pytest.raises(Refused, match=why):
        Program(b"".join(struct.pack("=HBBI", *each) for each in code))
