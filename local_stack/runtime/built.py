"""What `sam build` left: a template of its own, and a folder for each function and layer, named in that template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

from local_stack.cloud.deployed import DeployedFunction
from local_stack.cloud.stack import Stack
from local_stack.cloud.template import NotPlayed, Template

PYTHON: Final = "python"
"""Where a layer keeps its packages: Lambda puts this folder on the search path as /opt/python."""
_LAYER: Final = "AWS::Serverless::LayerVersion"
_CONTENT: Final = {"AWS::Serverless::Function": "CodeUri", _LAYER: "ContentUri"}


@dataclass(frozen=True, slots=True)
class Build:
    """A build's template, and its folders by logical id; a folder may be missing."""

    template: Template
    folders: Mapping[str, Path]
    layers: Sequence[str]

    @classmethod
    def read(cls, folder: Path, parameters: Mapping[str, str]) -> Build:
        """Read a build folder; raises NotPlayed when there is no build in it."""
        file = folder / "template.yaml"
        if not file.is_file():
            raise NotPlayed(f"{folder}, which holds no build; make build makes one")
        text = file.read_text(encoding="utf-8")
        resources: dict[str, dict[str, Any]] = yaml_parse(text)["Resources"]
        return cls(
            template=Template.from_text(text, parameters),
            folders={
                name: folder / str(resource["Properties"][_CONTENT[resource["Type"]]])
                for name, resource in resources.items()
                if resource["Type"] in _CONTENT
            },
            layers=[name for name, resource in resources.items() if resource["Type"] == _LAYER],
        )

    def layers_of(self, function: DeployedFunction, stack: Stack) -> list[str]:
        """Name a function's layers by their logical ids in the template, in its order."""
        by_arn = {str(stack.ref(name)): name for name in stack.of_type("AWS::Lambda::LayerVersion")}
        return [self._layer(by_arn.get(arn, arn)) for arn in function.layers]

    def path_of(self, function: DeployedFunction, stack: Stack) -> list[Path]:
        """Give the search path that a build makes for a function; of two layers the later one hides the earlier."""
        layers = [self.folders[name] / PYTHON for name in reversed(self.layers_of(function, stack))]
        return [self.folders[function.logical_id], *layers]

    def _layer(self, name: str) -> str:
        """Find the short form's id: the translator adds a hash to it."""
        for layer in self.layers:
            if name.startswith(layer):
                return layer
        raise NotPlayed(f"the layer {name}, which is not built here")
