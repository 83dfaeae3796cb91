"""What every settings model shares; standard library and pydantic only."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A frozen section of the configuration in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
