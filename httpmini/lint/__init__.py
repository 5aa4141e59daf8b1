"""httpmini lint: grade a server by what its clients see, alone and several at once.

``check`` says what a check is, ``checks/`` has them all, ``cases/`` the requests that they share with httpmini's own
tests, ``lab`` the server under examination, ``spawn`` starts and ends it, ``runner`` runs the checks within their
bounds, ``report/`` writes what was found.
"""
