"""The templates of the page, with the filters that write numbers."""

import math

import jinja2

from hmmrnn.report.numbers import beside, data, percent, text


def template(name: str) -> jinja2.Template:
    """A template of this folder; what it asks for and is not given is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hmmrnn.report", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(data=data, number=text, beside=beside, percent=percent)
    environment.tests["nan"] = math.isnan
    return environment.get_template(name)
