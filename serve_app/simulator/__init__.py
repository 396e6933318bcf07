"""A discrete-event twin of the fleet: production's routing, over engines that only keep time."""
