"""What a refusal says, for tables that hold many of them."""

from rtcprobe.errors import BadInputError


def refusal_of(attempt, *arguments, **options):
    """Return the sentence with which ``attempt`` refuses."""
    try:
        attempt(*arguments, **options)
    except BadInputError as error:
        return str(error)
    return "not refused"
