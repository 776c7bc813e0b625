# attack: an error of the language, made by the script, to pass for one of the engine
# expect: runtime-denied
# guard: errors.fault
# ends: raised BudgetExceeded
# off: raised BudgetExceeded (engine)
raise BudgetExceeded("all is spent", scope="run", needed=10**20)
