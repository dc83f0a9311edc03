"""The section `access` of the settings file: issuers, who gets which grants, rates, the ledger's departments.

`console.service_settings` reads it, `xisuan up` gives it to the gateways (docs/access.md). The form is closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from scheduler.access.keys import key_source
from scheduler.access.principals import read_grant, read_name, read_scope
from scheduler.access.rates import Rate

# Signatures by a private key only: what verifies a token can never make one.
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
# The issuer of this installation's own tokens, which no setting can take the place of.
OURS = "xisuan-local"
_Text = Annotated[str, Field(min_length=1, max_length=1024)]


def _grant(text: str) -> str:
    return str(read_grant(text))


GrantText = Annotated[str, AfterValidator(_grant)]
ScopePath = Annotated[str, AfterValidator(read_scope)]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class IssuerForm(_Form):
    """An OIDC issuer whose tokens are believed. `jwks` is a path or a URL. `name_claim` names the principal;
    `groups_claim` a list of groups for bindings; `grants_claim` (empty: none) a list of grants that the issuer itself
    may give."""

    issuer: _Text
    audience: _Text
    jwks: _Text
    jwks_ca: str = ""
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256", "ES256")
    leeway_s: Annotated[float, Field(ge=0, le=300)] = 30
    name_claim: _Text = "sub"
    groups_claim: _Text = "groups"
    grants_claim: str = ""

    @model_validator(mode="after")
    def _has_a_safe_address(self) -> Self:
        key_source(self.jwks, self.jwks_ca)
        return self


class BindingForm(_Form):
    """Who gets these grants: a subject or a group of an issuer, or the common name of a client certificate."""

    grants: Annotated[tuple[GrantText, ...], Field(min_length=1)]
    issuer: str = ""
    subject: str = ""
    group: str = ""
    certificate: str = ""

    @model_validator(mode="after")
    def _names_one_kind(self) -> Self:
        named = [kind for kind in ("subject", "group", "certificate") if getattr(self, kind)]
        if len(named) != 1:
            raise ValueError(
                "须且只须写 subject、group、certificate 之一 / name one of subject, group, certificate"
            )
        if (named == ["certificate"]) is bool(self.issuer):
            raise ValueError(
                "subject 与 group 须写明 issuer，certificate 不可写 / subject and group need their issuer, a certificate "
                "has none"
            )
        return self


class RateForm(_Form):
    per_second: Annotated[float, Field(ge=0, le=1_000_000)]
    burst: Annotated[float, Field(ge=1, le=10_000_000)]

    def rate(self) -> Rate:
        return Rate(self.per_second, self.burst)


def _default_calls() -> RateForm:
    return RateForm(per_second=5_000, burst=10_000)


def _default_workloads() -> RateForm:
    return RateForm(per_second=50_000, burst=200_000)


class RatesForm(_Form):
    """For each principal: calls, and workloads that are submitted or tried. `per_second` 0: without limit."""

    calls: RateForm = Field(default_factory=_default_calls)
    workloads: RateForm = Field(default_factory=_default_workloads)


class AccessForm(_Form):
    """`client_certificates` required: nobody connects to the gateway without one that this installation's authority (or
    `client_ca`) has signed. `names`: further names and addresses by which the gateway is called, for its certificate.
    `departments`: the queue path of a department as the ledger writes it; others lie below `departments_below`."""

    issuers: tuple[IssuerForm, ...] = ()
    bindings: tuple[BindingForm, ...] = ()
    client_certificates: Literal["none", "required"] = "none"
    client_ca: str = ""
    names: tuple[_Text, ...] = ()
    rates: RatesForm = RatesForm()
    departments: Mapping[str, ScopePath] = Field(default_factory=dict)
    departments_below: ScopePath = ""

    @model_validator(mode="after")
    def _is_of_one_piece(self) -> Self:
        known = [form.issuer for form in self.issuers]
        if len(set(known)) != len(known) or OURS in known:
            raise ValueError("issuers: 签发方重复 / the same issuer is given twice")
        for form in self.bindings:
            if form.issuer and form.issuer not in known:
                raise ValueError(f"bindings: 没有签发方 {form.issuer} / there is no issuer {form.issuer}")
            if form.certificate:
                read_name(form.certificate)
        return self

    def path_of(self, department: str) -> str:
        """The queue path of a department of the ledger."""
        known = self.departments.get(department)
        if known is not None:
            return known
        return f"{self.departments_below}/{department}" if self.departments_below else department


def read_access(document: Mapping[str, Any]) -> AccessForm:
    """Raises pydantic's ValidationError with every fault."""
    return AccessForm.model_validate(document)
