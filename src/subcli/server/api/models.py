"""The bodies of the REST half, so that the OpenAPI document at `/docs` is true (contract, section 6)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class InfoResponse(BaseModel):
    """What this server is and can do."""

    name: str
    version: str
    demo: bool = Field(description="Whether authentication is off.")
    features: list[str] = Field(description="What it has beyond the specification.")


class ProblemSummaryBody(BaseModel):
    """A problem as the list shows it."""

    id: int
    slug: str
    title: str
    languages: list[str]
    total_tests: int | None = None


class ProblemResponse(ProblemSummaryBody):
    """A problem with its text."""

    description: str = Field(description="Markdown.")
    limits: dict[str, float] = Field(description="Times in seconds; sizes in the unit that the name says.")


class ProblemListResponse(BaseModel):
    """All problems of this server."""

    problems: list[ProblemSummaryBody]


class TemplateResponse(BaseModel):
    """What a new solution starts from."""

    problem: str
    language: str
    files: dict[str, str] = Field(description="Texts by file name.")
    submit: list[str] = Field(description="Those of the files that are handed in; the others help on the way.")


class SubmissionBody(BaseModel):
    """Code for one problem: one file's text, or several files."""

    model_config = ConfigDict(extra="ignore", str_max_length=2 * 1024 * 1024)

    problem_id: int | None = None
    problem: Name | None = Field(None, description="A slug, instead of `problem_id`.")
    language: Name
    source_code: str | None = None
    files: dict[str, str] | None = Field(None, description="Texts by relative path.")


class SummaryBody(BaseModel):
    """The counts that come with the verdict."""

    model_config = ConfigDict(extra="allow")

    total_tests: int | None = None
    passed: int | None = None
    failed: int | None = None
    duration_ms: float | None = None


class SubmissionResponse(BaseModel):
    """One submission as it is now."""

    submission_id: int
    id: int = Field(description="The same as `submission_id`.")
    problem: str
    language: str
    status: str
    final_status: str | None = Field(description="The verdict; null while it is being judged.")
    summary: SummaryBody | None
    total_tests: int | None
    created_at: str
    finished_at: str | None
    url: str = Field(description="Its page.")
    last_seq: int = Field(description="The position of its latest event.")
    attempt: int
    build_log: str | None


class SubmissionListResponse(BaseModel):
    """The latest submissions, the latest first."""

    submissions: list[SubmissionResponse]


class TestBody(BaseModel):
    """The last result of one test; with every field of its `test_result`."""

    model_config = ConfigDict(extra="allow")

    test_name: str
    status: str
    duration_ms: float | None = None
    error_analysis: dict[str, Any] | None = None


class TestListResponse(BaseModel):
    """The last result of each test."""

    submission_id: int
    tests: list[TestBody]


class EventPageResponse(BaseModel):
    """A piece of a submission's log."""

    submission_id: int
    events: list[dict[str, Any]] = Field(description="The messages of the WebSocket, in order.")
    more: bool = Field(description="Whether there are more behind `last_seq`.")
    last_seq: int = Field(description="The position of the last event here; ask for what is after it.")


class ErrorResponse(BaseModel):
    """What is wrong, in a sentence."""

    detail: str


class TokenBody(BaseModel):
    """A grant: `password` with `username` and `password`, or `refresh_token` with `refresh_token`."""

    grant_type: str = Field(description="`password` or `refresh_token`.")
    username: str | None = None
    password: str | None = None
    refresh_token: str | None = None


class TokenResponse(BaseModel):
    """What was granted (RFC 6749, section 5.1)."""

    access_token: str
    token_type: str = Field(description="`bearer`.")
    expires_in: int = Field(description="Seconds that the access token is good for.")
    refresh_token: str = Field(description="Gives the next access token, once.")


class LogoutBody(BaseModel):
    """Which session to end, where the access token has expired."""

    refresh_token: str | None = Field(None, max_length=4096)


class LogoutResponse(BaseModel):
    """The session has ended."""

    logged_out: bool


class IdentityResponse(BaseModel):
    """Who is asking."""

    user: str
    expires_at: str | None = Field(description="When the access token expires.")


class WatchTokenResponse(BaseModel):
    """Opens one socket on one submission, once: `WS /ws/submissions/{id}?token=`."""

    token: str
    expires_in: int = Field(description="Seconds.")
