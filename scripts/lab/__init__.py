# SPDX-License-Identifier: GPL-2.0-only
"""Modules behind scripts/cma, one job each."""
