"""What became of every write, from the servers' own data. The router's counters are not asked."""
from dataclasses import dataclass


@dataclass
class Moments:
    """The story's turning points, on the monotonic clock."""
    began: float = 0.0
    killed: float = 0.0  # just before the SIGKILL
    dead: float = 0.0  # the old primary's process is gone
    promoted: float = 0.0  # the new primary said OK
    returned: float = 0.0  # just before the old primary was started again
    ended: float = 0.0


@dataclass
class Verdict:
    acknowledged: int
    unreplicated: int  # only the old primary had them when it died: asynchronous replication's loss
    lost: int  # acknowledged, and not where they should be, without that excuse
    fenced: int  # taken by the old primary after it had been replaced
    differing: int  # keys the replica holds otherwise than its primary


def judge(writes, moments, old, new, replica):
    """old, new, replica: {key: value}, all that the three servers hold at the end."""
    verdict = Verdict(0, 0, 0, 0, 0)
    for write in writes:
        on_old = old.get(write.key) == write.value
        # The old primary was dead in between, so it got these after its return.
        late = write.sent > moments.dead or write.acknowledged > moments.returned
        verdict.fenced += on_old and late
        if not write.acknowledged:
            continue
        verdict.acknowledged += 1
        if new.get(write.key) == write.value:
            continue
        if on_old and not late:
            verdict.unreplicated += 1
        else:
            verdict.lost += 1
    verdict.differing = sum(new.get(key) != replica.get(key) for key in new.keys() | replica.keys())
    return verdict
