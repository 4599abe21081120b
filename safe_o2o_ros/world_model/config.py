"""Sizes of the networks."""

from __future__ import annotations

from dataclasses import dataclass

from safe_o2o_ros.errors import UsageError


@dataclass(frozen=True)
class ModelConfig:
    """Sizes shared by the world model, the critics and the actor."""

    channels: int = 6
    """Image channels: 3 per camera."""
    image_size: int = 64
    """Image height and width, pixels; must be a multiple of 16."""
    action_dim: int = 2
    depth: int = 16
    """Channels of the first convolution; each of the four layers doubles it."""
    deter: int = 256
    """Width of the recurrent (deterministic) state."""
    groups: int = 16
    """Number of categorical variables of the stochastic state."""
    classes: int = 16
    """Classes of each categorical variable."""
    units: int = 256
    """Width of every hidden layer of the world model and the actor."""
    critic_units: int = 160
    """Width of the critics' hidden layers; a bundle carries nine of these networks."""
    percept: int = 128
    """Width of the recurrent state that sees images only."""
    sectors: int = 16
    """Directions around the robot in which the percept learns how near things are, where data say so."""
    landmarks: int = 2
    """Places of which it learns where they are: the goal, the box."""
    unimix: float = 0.01
    """Share of the uniform distribution mixed into every categorical."""
    ensemble: int = 2
    """Members of every critic ensemble."""
    components: int = 5
    """Gaussians of the actor's mixture."""

    def __post_init__(self) -> None:
        if self.image_size % 16:
            raise UsageError(f"image_size must be a multiple of 16, got {self.image_size}")

    @property
    def stoch(self) -> int:
        """Flattened width of the stochastic state."""
        return self.groups * self.classes

    @property
    def dynamics(self) -> int:
        """Width of the recurrent model's state [h, z], which predicts images, rewards and costs."""
        return self.deter + self.stoch

    @property
    def feature(self) -> int:
        """Width of the latent that critics, actor and the graph see: [h, category probabilities, g]."""
        return self.dynamics + self.percept

    @property
    def state(self) -> int:
        """Width of what is carried from step to step: [h, one-hot categories, g]."""
        return self.dynamics + self.percept

    @property
    def parts(self) -> list[int]:
        """Widths of the three parts of a latent or a state, in order."""
        return [self.deter, self.stoch, self.percept]
