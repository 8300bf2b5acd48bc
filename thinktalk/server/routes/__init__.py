"""One file for each endpoint, with a `router`; `app.py` lists them."""
