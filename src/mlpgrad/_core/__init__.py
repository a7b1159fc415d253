"""What every other part uses: array operations, checks, descriptions, optional packages."""
