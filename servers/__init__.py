"""The inventory of servers, and the rollouts that make them match."""
