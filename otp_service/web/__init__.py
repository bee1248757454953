"""HTTP: the API, its documentation, and the administrative address. Only `app` and `pages` import Flask."""
