"""A console over an installation without remotes, asked in process; and a browser over a real service."""

import pytest
from web_console import Plant


@pytest.fixture
def plant(tmp_path):
    made = Plant(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def chromium():
    from browsing import a_browser  # Most of the tests here need no browser.

    with a_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def state(chromium, served):
    """Sign in by the one-time link, as the first one does, and keep the session for the tests."""
    from browsing import become_the_first

    context = chromium.new_context(base_url=served.url)
    become_the_first(context.new_page(), served.link)
    kept = context.storage_state()
    context.close()
    return kept
