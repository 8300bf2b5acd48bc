"""What all objects of the wire have in common."""

import secrets
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class Wire(BaseModel):
    """An object of the wire. Fields that we do not know are ignored; a None is left out, as clients expect.

    Only of the fields in `nullable` is null a thing to say.
    """

    model_config = ConfigDict(extra="ignore")
    nullable: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_nulls(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written = write(self)
        return {name: value for name, value in written.items() if value is not None or name in self.nullable}


def new_id(kind: str) -> str:
    """A name that nothing else has: "item_", "resp_", ... and 96 random bits."""
    return f"{kind}_{secrets.token_hex(12)}"
