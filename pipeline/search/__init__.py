"""Search: what a person types (`grammar`), its SQL conditions on stored messages (`sql`), and the terms by
which the index finds messages (`terms`).
"""
