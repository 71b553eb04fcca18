"""Which environment variables a child process may see: an allowlist, so that no secret slips out by accident."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

ALLOWED = frozenset(
    """
    PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TMPDIR VIRTUAL_ENV
    XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_RUNTIME_DIR
    PYTHONPATH PYTHONUTF8 PYTHONIOENCODING PYTHONDONTWRITEBYTECODE PYTHONHASHSEED PYTHONPYCACHEPREFIX
    SOURCE_DATE_EPOCH CI
    """.split()
)
"""The few that programs need to find themselves and their user."""

NETWORK = frozenset(
    """
    HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy
    SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE GIT_SSL_CAINFO NODE_EXTRA_CA_CERTS
    """.split()
)
"""How this computer reaches the network. They are passed on: without them every download fails with an error
that points elsewhere. Keys and tokens are not among them; a persona names those in `env`."""


def child_environment(
    extra_names: Iterable[str] = (),
    values: Mapping[str, str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The allowed variables that are set here, those of `extra_names`, and then `values` on top.

    `TERM` is `dumb` and `NO_COLOR` is set, for the output goes to a log; `PYTHONUNBUFFERED` is set so that a
    Python program's lines arrive while it runs.
    """
    here = os.environ if environ is None else environ
    named = frozenset(extra_names)
    env = {
        name: value
        for name, value in here.items()
        if name in ALLOWED or name in NETWORK or name.startswith("LC_") or name in named
    }
    env.setdefault("PATH", os.defpath)
    for name, value in (("TERM", "dumb"), ("NO_COLOR", "1"), ("PYTHONUNBUFFERED", "1")):
        if name not in named:
            env[name] = value
    env.update(values or {})
    return env
