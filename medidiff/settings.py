"""What every settings model shares; standard library and pydantic only."""

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """A frozen section of the configuration in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelFile(Settings):
    """What every file of a trained model says, whatever its section trains."""

    name: str = Field(pattern="^[a-z0-9-]+$", description="folder of the model")
    title: str = Field(min_length=1, description="what it is of, in one line")
    not_for: str = Field(min_length=1, description="what it must not be used for")
    threads: int = Field(1, ge=1, le=64, description="of the processor; another number may change the last bits")
