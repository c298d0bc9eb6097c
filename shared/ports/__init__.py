"""What the core needs from outside, as short protocols in our words.

Every method may raise `Unavailable` or `Throttled`: then nothing is known to have happened. A write may also raise
`OutcomeUnknown` where its docstring says so. Reads are safe to repeat.
"""
