# README.md: a directory of its own, with an agent.
kill $serve; wait $serve
mkdir ../second && cd ../second
printf 'from openai import OpenAI\nOpenAI().models.list()\n' >agent.py
