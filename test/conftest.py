"""What all tests share."""


def pytest_configure(config):
    config.addinivalue_line("markers", "sanitize: also run with the sanitizer builds")
