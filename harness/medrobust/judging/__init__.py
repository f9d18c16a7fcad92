"""Judging a model of one's own: what breaks it, how small a change suffices, and can its numbers be trusted?

`subject` has the images, `modules` the network; `taking`, with `inputs` and `wrapping`, finds out how they fit.
`trials` says what is run (`trials.toml`), `timing` how much of it fits a time, `running` runs it. `results`, `faults`
and `findings` say what it means, `words` how a terminal shows it. The HTML page belongs to the leaderboard.
"""
