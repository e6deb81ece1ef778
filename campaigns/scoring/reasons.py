"""Reasons for a segment, in words: which of them a mail may tell."""

from models.definitions import fit_for_mail

__all__ = ["fit_for_mail"]
