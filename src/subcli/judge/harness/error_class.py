"""What stands in a test for exception classes of the solution's, so that `pytest.raises` and `except` take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from subcli.judge.harness.module import Modules


class ErrorClass(type):
    """The class of what stands for exception classes of the solution's."""

    _subcli_modules: Modules
    _subcli_path: tuple[str, ...]

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_") or cls._subcli_modules.is_collecting:
            raise AttributeError(name)
        return cls._subcli_modules.request("getattr", cls, name)

    def __call__(cls, /, *arguments: Any, **options: Any) -> Any:
        return cls._subcli_modules.request("call", cls, *arguments, **options)


def made_class(modules: Modules, module: str, name: str, bases: tuple[type[BaseException], ...]) -> type[BaseException]:
    """A class that stands for an exception class of the solution's.

    Raises:
        ValueError: There can be no such class.
    """
    if not bases:
        raise ValueError("not an exception class")
    # These would stop pytest instead of failing the test.
    bases = tuple(BaseException if issubclass(base, KeyboardInterrupt | GeneratorExit) else base for base in bases)

    def attribute(self: BaseException, name: str) -> Any:
        held = self.__dict__.get("_subcli_object")
        if held is None or name.startswith(("__", "_pytest", "_subcli")):
            raise AttributeError(name)
        return getattr(held, name)

    def text(self: BaseException) -> str:
        return str(self.__dict__.get("_subcli_text", ""))

    values = {"__module__": module, "__getattr__": attribute, "__str__": text}
    path = {"_subcli_modules": modules, "_subcli_path": (module, *name.split("."))}
    try:
        made = ErrorClass(name.rpartition(".")[2], bases, {**values, **path})
    except TypeError as error:
        raise ValueError(str(error)) from None
    assert issubclass(made, BaseException)
    return made
