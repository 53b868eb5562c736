"""What can go wrong on the way to the city, one class per thing that somebody would do differently.

For: the client's reading of a call's outcome and the gateway's decision: wait, try again, or ask a person.
May not: hold citizen data in texts or facts.
Manual: docs/operating/upward.md, "What the list says"; docs/operating/errors.md has one entry per code.
"""

from __future__ import annotations

from protocol.errors import InputError, RefusedError, TransportError


class BadCityAddress(InputError):
    """The configured address of the city cannot be used."""

    code = "bad_city_address"


class CityUnreachable(TransportError):
    """No connection to the city, so nothing was handed over. Everything waits."""

    code = "city_unreachable"


class CityUnclear(TransportError):
    """The call began and its outcome is unknown (line cut, time out, 5xx, unreadable answer): same key again."""

    code = "city_unclear"


class CityBusy(TransportError):
    """The city asks us to come back later; `facts["wait_ms"]` says when, 0 if it did not say."""

    code = "city_busy"


class CityDenied(TransportError):
    """The city does not know us or our path (401, 403, 404, 405, redirect): a matter of configuration, not of a case."""

    code = "city_denied"


class CityRefused(RefusedError):
    """The city looked at this one call and said no for good: a person decides what next."""

    code = "city_refused"


class CityHasOther(CityRefused):
    """The key is in use at the city with another bundle; `facts["receipt"]` names the case that it holds."""

    code = "city_has_other"


class CityTakenBack(CityRefused):
    """The key was withdrawn at the city before; a bundle under it is not taken any more."""

    code = "city_taken_back"


class BundleIncomplete(RefusedError):
    """Opinion, materials or applicant data are missing; `facts["missing"]` lists them. Nothing is sent."""

    code = "bundle_incomplete"


class BundleTooLarge(RefusedError):
    """The files of the case are larger than a bundle may be."""

    code = "bundle_too_large"


class NothingToRetry(InputError):
    """The case has no failed way up that could be tried again."""

    code = "nothing_to_retry"
