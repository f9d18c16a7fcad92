"""A static site of what stores hold: folders of HTML that open without a server and fetch nothing.

`contents` says what there is to show, read by `reading` from stores (with `numbers` and `gallery` from records) and
told as `telling` permits. `overview`, `rankings`, `papers`, `models`, `cells` and `plugins` make `page.Page`s of it,
each a template with what it shows; `writing` renders them into a folder, and `build` does all of it. `command` is
`medrobust site`.
"""
