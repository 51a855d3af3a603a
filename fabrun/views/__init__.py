"""The pages of Fabric runs: permission, form, one service, answer."""
