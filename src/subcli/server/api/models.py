"""Request and response bodies of the REST API, as shown at `/docs` (contract, section 6)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

_EPOCH = "A random name of the event log, created with the submission; a different one after a backup is restored."
_OUTCOME = (
    "`passed`, `wrong_answer`, `time_limit`, `memory_limit`, `output_limit`, `runtime_error`, `protocol_error`, "
    "`skipped` or `judge_error`."
)
SubmissionId = Annotated[int, Field(ge=1, le=2**63 - 1)]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class InfoResponse(BaseModel):
    """The server's version and features."""

    name: str
    version: str
    demo: bool = Field(description="Whether the server runs without logins.")
    features: list[str] = Field(description="Features beyond the specification.")
    judging: bool = Field(description="Whether anybody judges at the moment; if not, submissions wait.")
    page_token: str | None = Field(
        None,
        description="In demo mode, and not sent to browsers: with it as `?token=`, a page may change something.",
    )


class ProblemSummaryBody(BaseModel):
    """A problem, as listed."""

    id: int
    slug: str
    title: str
    languages: list[str]
    total_tests: int | None = None
    version: str | None = Field(None, description="A name of its content; another one after each change.")
    outdated: bool = Field(
        False,
        description="Whether its files have changed into something that is not valid; this is the version before.",
    )
    closes: str | None = Field(None, description="From when on nothing can be submitted; null for never.")
    max_attempts: int | None = Field(None, description="How many submissions count for each user; null for any number.")


class SampleBody(BaseModel):
    """A public case."""

    name: str = Field(description="The name of its case.")
    input: str
    answer: str = Field(description="A correct output; if the problem has a checker, others may be correct as well.")


class ProblemResponse(ProblemSummaryBody):
    """A problem with its description."""

    description: str = Field(description="Markdown.")
    sources: dict[str, str] = Field(description="The name of the file to submit, by language.")
    limits: dict[str, float] = Field(description="Times in seconds; sizes in the unit given by the name.")
    samples: list[SampleBody] | None = Field(None, description="For problems made of cases, if some are public.")


class ProblemListResponse(BaseModel):
    """All problems of this server."""

    problems: list[ProblemSummaryBody]


class LanguageBody(BaseModel):
    """A language that this server's problems can be solved in."""

    name: str
    title: str = Field(description="The display name.")
    endings: list[str] = Field(description="Extensions of its source files, with the dot.")
    problems: int = Field(description="How many problems accept it.")
    available: bool | None = Field(description="Whether it can be judged now; null if other machines judge.")
    version: str | None = Field(description="What its compiler or interpreter says about itself; null if not known.")


class LanguageListResponse(BaseModel):
    """All languages of this server."""

    languages: list[LanguageBody]


class TemplateResponse(BaseModel):
    """The starting point of a new solution."""

    problem: str
    language: str
    files: dict[str, str] = Field(description="File contents by name.")
    submit: list[str] = Field(description="The files to submit; the others are for local use.")
    test: dict[str, Any] | None = Field(None, description="What `subcli test` judges with; see `.subcli.toml`.")


class SubmissionBody(BaseModel):
    """Code for one problem: a single source, or several files."""

    model_config = ConfigDict(extra="ignore", str_max_length=2 * 1024 * 1024)

    problem_id: int | None = None
    problem: Name | None = Field(None, description="A slug, instead of `problem_id`.")
    language: Name
    source_code: str | None = None
    file_name: Name | None = Field(None, description="The file that `source_code` was read from, for messages.")
    files: dict[str, str] | None = Field(None, description="File contents by relative path.")


class GroupBody(BaseModel):
    """The outcome of a group of tests. Its points need not be the sum of its tests' points."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(description="Such as `secret/small`, which is in the group `secret`.")
    outcome: str | None = Field(None, description=_OUTCOME)
    score: float | None = Field(None, description="Its points.")
    max_score: float | None = Field(None, description="The maximum points, if known.")


class SummaryBody(BaseModel):
    """The counts in the verdict, and points and groups if the problem has any."""

    model_config = ConfigDict(extra="allow")

    total_tests: int | None = None
    passed: int | None = None
    failed: int | None = Field(None, description="Errors included.")
    skipped: int | None = None
    duration_ms: float | None = Field(None, description="Milliseconds of wall-clock time.")
    score: float | None = Field(None, description="The points of the submission.")
    max_score: float | None = Field(None, description="The maximum points, if known.")
    pass_score: float | None = Field(None, description="The points needed to pass, if not all are needed.")
    groups: list[GroupBody] | None = Field(None, description="The groups of tests, each followed by those in it.")


class ChangedTestBody(BaseModel):
    """A test that ended differently, or took much longer."""

    model_config = ConfigDict(extra="allow")

    test_name: str
    change: str = Field(description="`newly_passing`, `newly_failing` or `slower`.")
    before_ms: float | None = Field(None, description="How long a slower test took before, in milliseconds.")
    duration_ms: float | None = Field(None, description="How long it takes now.")


class ComparisonBody(BaseModel):
    """A verdict compared with your previous submission to the same problem that was judged to its end."""

    model_config = ConfigDict(extra="allow")

    previous: int = Field(description="The id of that submission.")
    previous_run: int | None = Field(
        None, description="If the submission was judged again: its own run that this one is compared with."
    )
    newly_passing: int = Field(description="Tests that pass now and did not before.")
    newly_failing: int = Field(description="Tests that passed before and fail now.")
    slower: int = Field(description="Tests that pass as before, but take at least twice as long, and 50 ms longer.")
    tests: list[ChangedTestBody] = Field(description="The first of them, failures first.")


class RunBody(BaseModel):
    """One judging of a submission."""

    run: int = Field(description="From 1.")
    status: str
    final_status: str | None = Field(default=None, description="The verdict; null until there is one.")
    summary: SummaryBody | None = None
    asked_at: str | None = Field(default=None, description="When a teacher asked for it; null for the first.")
    finished_at: str | None = None
    last_seq: int = Field(description="The position of the latest event.")
    epoch: str | None = Field(default=None, description=_EPOCH)
    problem_version: str | None = Field(default=None, description="The version of the problem that judged it.")


class SubmissionResponse(BaseModel):
    """The current state of a submission."""

    submission_id: int
    id: int = Field(description="The same as `submission_id`.")
    problem: str
    language: str
    status: str
    final_status: str | None = Field(description="The verdict; null until there is one.")
    summary: SummaryBody | None
    total_tests: int | None
    created_at: str
    finished_at: str | None
    url: str = Field(description="The submission's web page.")
    last_seq: int = Field(description="The position of the latest event.")
    epoch: str | None = Field(description=_EPOCH)
    problem_version: str | None = Field(
        None, description="The version of the problem that it is judged by; null: the one that the worker has."
    )
    attempt: int
    build_log: str | None
    run: int = Field(1, description="Which judging this is about, from 1: the latest, unless another was asked for.")
    runs: list[RunBody] | None = Field(
        None, description="All judgings, oldest first; only in the answer about one submission."
    )
    user: str | None = Field(default=None, description="Who submitted it; in lists of others' submissions.")
    attempts_left: int | None = Field(
        None, description="How many attempts at this problem its owner has left; only in the answer to a submission."
    )
    compared_to: ComparisonBody | None = Field(
        None, description="What the verdict was compared with; only in the answer about one submission."
    )
    notice: str | None = Field(None, description="A sentence about what is no longer there, such as old results.")


class SubmissionListResponse(BaseModel):
    """A page of submissions, newest first."""

    submissions: list[SubmissionResponse]
    next_cursor: str | None = Field(
        None, description="Pass it as `cursor`, with the same filters, to get the next page; absent on the last one."
    )


class EventBody(BaseModel):
    """The fields of every event in the log."""

    model_config = ConfigDict(extra="allow")

    type: str
    submission_id: int
    seq: int = Field(description="The position in the log, from 1.")
    epoch: str | None = Field(None, description=_EPOCH + " In the event with `seq` 1.")
    timestamp: str


class LocationBody(BaseModel):
    """A location in the submitted code."""

    model_config = ConfigDict(extra="allow")

    file: str
    line: int | None = None


class AnalysisBody(EventBody):
    """Why a test, or the submission as a whole, failed, and what to do about it: an `error_analysis`."""

    error: str | None = None
    analysis: str | None = None
    suggestions: list[str] | None = None
    test_id: str | int | None = None
    test_name: str | None = None
    category: str | None = Field(None, description="The kind of mistake, such as `time_limit`.")
    location: LocationBody | None = None


class TestBody(EventBody):
    """The latest result of one test: its `test_result`. Unknown and hidden fields are absent."""

    test_name: str
    status: str = Field(description="`passed`, `failed`, `error` or `skipped`.")
    duration_ms: float | None = Field(None, description="Milliseconds of wall-clock time.")
    test_id: str | int | None = None
    test_type: str | None = None
    message: str | None = Field(None, description="Why it did not pass.")
    expected: Any = Field(None, description="What the test expected.")
    actual: Any = Field(None, description="What it got instead.")
    expected_at: int | None = Field(None, description="Where `expected` begins to differ, in characters.")
    actual_at: int | None = Field(None, description="Where `actual` begins to differ.")
    input: str | None = Field(None, description="The beginning of the program's input.")
    output: str | None = Field(None, description="Other output of the solution, truncated.")
    rerun: str | None = Field(None, description="The command that runs this test locally.")
    seed: int | None = Field(None, description="The seed of the simulated network in which it failed.")
    has_trace: bool | None = Field(None, description="Whether `…/tests/{test}/trace` shows how it failed.")
    outcome: str | None = Field(None, description=_OUTCOME)
    cpu_ms: float | None = Field(None, description="Processor time of the solution in milliseconds.")
    memory_kb: float | None = Field(None, description="Its peak memory use, in KiB.")
    group: str | None = Field(None, description="The innermost group of tests that it belongs to.")
    score: float | None = Field(None, description="Its own points. The summary has the points of its group.")
    max_score: float | None = Field(None, description="The maximum points.")
    error_analysis: AnalysisBody | None = None


class TestListResponse(BaseModel):
    """The latest result of each test."""

    submission_id: int
    tests: list[TestBody]


class RejudgeBody(BaseModel):
    """What to judge again: single submissions, or those to a problem, with a verdict and since a moment if given."""

    submissions: Annotated[list[SubmissionId], Field(min_length=1, max_length=100)] | None = None
    problem: Name | None = Field(None, description="A slug or id.")
    verdict: Word | None = None
    since: datetime | None = Field(None, description="Only those submitted then or later; without a zone: UTC.")
    dry_run: bool = Field(True, description="Only count.")
    key: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{8,64}$")] | None = Field(
        None, description="Made by the client for the whole rejudge; needed unless `dry_run`."
    )
    cursor: Annotated[str, StringConstraints(max_length=128)] | None = Field(
        None, description="The `next_cursor` of the answer before."
    )


class RejudgeResponse(BaseModel):
    """What is to be judged again. In a dry run the counts are about everything, otherwise about this request."""

    dry_run: bool
    matched: int = Field(description="Submissions with a verdict.")
    unfinished: int = Field(description="Submissions without one; they are left alone.")
    unknown: int = Field(description="How many of `submissions` do not exist.")
    verdicts: dict[str, int] | None = Field(default=None, description="In a dry run: how many with each verdict.")
    users: int | None = Field(default=None, description="In a dry run: whose they are.")
    queued: int | None = Field(default=None, description="How many wait for their new judging now.")
    repeated: int | None = Field(default=None, description="How many an earlier request with this key had queued.")
    next_cursor: str | None = Field(default=None, description="Absent if nothing is left.")


class ResultBody(BaseModel):
    """The row of a user. What there is nothing to say about is absent."""

    user: str
    attempts: int = Field(description="How many submissions the user has made.")
    unfinished: int = Field(description="How many of them have no verdict at the moment.")
    verdict: str | None = Field(default=None, description="Of the submission that counts.")
    status: str | None = None
    language: str | None = None
    score: float | None = None
    max_score: float | None = None
    passed: int | None = Field(default=None, description="How many tests passed.")
    total_tests: int | None = None
    submission_id: int | None = None
    submitted_at: str | None = None
    run: int | None = Field(default=None, description="Above 1 if it was judged again.")


class ResultsResponse(BaseModel):
    """A page of a problem's results, by the users' names."""

    problem: str
    results: list[ResultBody]
    next_cursor: str | None = Field(default=None, description="The `cursor` of the next page; absent on the last.")


class UserGroupBody(BaseModel):
    """A group of users."""

    name: str
    members: list[str] = Field(description="Their names, sorted.")


class UserGroupListResponse(BaseModel):
    """All groups, by name."""

    groups: list[UserGroupBody]


class FilesResponse(BaseModel):
    """What was submitted."""

    submission_id: int
    files: dict[str, str] = Field(description="File contents by path.")


class PlaceBody(BaseModel):
    """A line of the submitted code."""

    file: str
    line: int
    function: str | None = None
    text: str | None = Field(None, description="The line itself, without its indentation.")


class TraceMessageBody(BaseModel):
    """A message between nodes."""

    no: int = Field(description="Its place in the order of all that happened.")
    ms: int = Field(description="When it was sent, in milliseconds of simulated time.")
    src: str
    dest: str
    body: Any = Field(description="An object; text, if it is too long to be kept as a whole.")
    fate: str | None = Field(
        None,
        description="Absent if it was delivered, otherwise `lost`, `dropped` (by a rule of the test), `cut_off` (by a "
        "partition), `crashed` (its receiver) or `under_way`.",
    )
    arrived_no: int | None = None
    arrived_ms: int | None = None
    place: int | None = Field(None, description="Which of `places` sent it.")
    broke_rule: bool | None = Field(None, description="Whether it is one of those that broke the rule.")


class TraceMarkBody(BaseModel):
    """Something else that happened."""

    no: int
    ms: int
    kind: str = Field(
        description="`start` (`body`: its `init`), `kill`, `note` (of the test), `answer` (to the test), `save`, "
        "`partition` (with `groups`) or `heal`."
    )
    node: str | None = None
    text: str | None = None
    body: Any = None
    groups: list[list[str]] | None = None
    place: int | None = None
    broke_rule: bool | None = None


class TraceResponse(BaseModel):
    """How a test on several nodes failed. Fields that are zero, empty or false are absent."""

    seed: int | None = Field(None, description="The seed of the simulated network.")
    cluster: int | None = Field(None, description="Which of the test's clusters it is, from 1, which is the default.")
    nodes: list[str] | None = None
    violation: str | None = Field(None, description="What was wrong, in one sentence.")
    node: str | None = Field(None, description="Whose fault it is, if that is known.")
    moment_no: int | None = Field(None, description="The last message that broke the rule, or the last happening.")
    moment_ms: int | None = Field(None, description="When it was sent.")
    noticed_ms: int | None = Field(None, description="When the test noticed.")
    total: int | None = Field(None, description="How many happenings there were.")
    first_no: int | None = Field(None, description="The first of those that follow here; default 1.")
    digest: str | None = Field(None, description="Two courses with the same digest are the same.")
    source: str | None = Field(None, description="A digest of the code that was judged.")
    places: list[PlaceBody] | None = None
    messages: list[TraceMessageBody] | None = None
    marks: list[TraceMarkBody] | None = None


class EventPageResponse(BaseModel):
    """A page of a submission's event log."""

    submission_id: int
    events: list[dict[str, Any]] = Field(
        description="The WebSocket messages, in order: `status_update`, `test_result` (fields as in `TestBody`), "
        "`error_analysis` (as in `AnalysisBody`), and at the end `complete` with `final_status` and `summary` "
        "(`SummaryBody`). There may be other types."
    )
    more: bool = Field(description="Whether there are events after `last_seq`.")
    last_seq: int = Field(
        description="The position of the last event on this page; pass it as `after_seq` to continue. "
        "Less than `after_seq` if the log ends before it."
    )
    epoch: str | None = Field(description=_EPOCH)


class OutputPageResponse(BaseModel):
    """A page of what a submission's build and tests have printed."""

    submission_id: int
    output: list[dict[str, Any]] = Field(
        description="Messages of the type `output`, in order, with `stream`, `text`, `output_seq`, `after_seq` and, "
        "where they apply, `test_id` and `node`."
    )
    more: bool = Field(description="Whether there are pieces after `last_output`.")
    last_output: int = Field(
        description="The number of the last piece on this page; pass it as `output_after` to continue. "
        "Less than `output_after` if there are not so many."
    )
    epoch: str | None = Field(description=_EPOCH)


class ErrorResponse(BaseModel):
    """An error, described in one sentence."""

    detail: str
    code: str | None = Field(
        None, description="Which refusal it is, for some of them: `problem_closed` or `no_attempts_left`."
    )


class TokenBody(BaseModel):
    """A grant: `password` with `username` and `password`, or `refresh_token` with `refresh_token`."""

    grant_type: str = Field(description="`password` or `refresh_token`.")
    username: str | None = None
    password: str | None = None
    refresh_token: str | None = None


class TokenResponse(BaseModel):
    """The granted tokens (RFC 6749, section 5.1)."""

    access_token: str
    token_type: str = Field(description="`bearer`.")
    expires_in: int = Field(description="Lifetime of the access token in seconds.")
    refresh_token: str = Field(description="Gives the next tokens; valid for one use.")


class LogoutBody(BaseModel):
    """The session to end, for when the access token has expired."""

    refresh_token: str | None = Field(None, max_length=4096)


class LogoutResponse(BaseModel):
    """The session has ended."""

    logged_out: bool


class IdentityResponse(BaseModel):
    """The authenticated user."""

    user: str
    expires_at: str | None = Field(description="When the access token expires.")
    role: str = Field(description="`student`, `teacher` or `admin`.")
    credential: str = Field(
        description="What the token allows: `login` (everything that the role does), `submit`, `read`, or `link`."
    )
    token_name: str | None = Field(default=None, description="The name of an access token for machines.")


_DAY_S = 86400


class NewMachineTokenBody(BaseModel):
    """An access token for machines to be created."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$")]
    scope: Literal["submit", "read"] = Field(description="`read` can neither submit nor cancel.")
    expires_in: Annotated[int, Field(ge=60, le=366 * _DAY_S)] = Field(90 * _DAY_S, description="Seconds.")


class MachineTokenResponse(BaseModel):
    """An access token for machines, without its text."""

    id: int
    name: str
    scope: str
    created_at: str
    expires_at: str
    last_used_at: str | None = Field(description="To the minute; null if it was not used.")


class NewMachineTokenResponse(MachineTokenResponse):
    """An access token that was created."""

    token: str = Field(description="Its text, which is not shown again.")


class MachineTokenListResponse(BaseModel):
    """One's own access tokens for machines, oldest first."""

    tokens: list[MachineTokenResponse]


class PasswordBody(BaseModel):
    """A change of one's own password."""

    old_password: str = Field(max_length=4096)
    new_password: str = Field(max_length=4096)


class PasswordResponse(BaseModel):
    """The password was changed, and other sessions have ended."""

    changed: bool


class NewLinkBody(BaseModel):
    """A link to be created."""

    expires_in: Annotated[int, Field(ge=60, le=366 * _DAY_S)] = Field(7 * _DAY_S, description="Seconds.")


class LinkResponse(BaseModel):
    """A link that shows one submission to whoever follows it, without its address."""

    id: int
    created_at: str
    expires_at: str


class NewLinkResponse(LinkResponse):
    """A link that was created."""

    url: str = Field(description="Its address, which is not shown again.")


class LinkListResponse(BaseModel):
    """The links to a submission that work, oldest first."""

    links: list[LinkResponse]


class LinksRevokedResponse(BaseModel):
    """The links to a submission work no longer."""

    revoked: int = Field(description="How many there were.")


class WatchTokenResponse(BaseModel):
    """Opens one socket on one submission, once: `WS /ws/submissions/{id}?token=`."""

    token: str
    expires_in: int = Field(description="Lifetime in seconds.")
