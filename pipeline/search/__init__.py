"""Search: what a person types (`syntax`, `grammar`), its SQL conditions on stored messages (`sql`), and the
terms by which the index finds messages (`terms`).
"""
