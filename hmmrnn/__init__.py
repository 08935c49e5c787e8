"""Train noise-driven recurrent networks to emulate hidden Markov models, and find out how.

What is public stands in `__init__.pyi`; each module is imported when it is first asked for.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
