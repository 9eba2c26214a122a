"""Photos are uploaded, and the last ones can be looked at again."""

import hashlib
import os
from collections import OrderedDict

from fastapi import FastAPI, HTTPException, UploadFile
from fastapi.responses import Response

LEAK = "LEAK" in os.environ
MAX_RECENT = 64

app = FastAPI()
recent: OrderedDict[str, bytes] = OrderedDict()


@app.post("/photos")
async def upload(file: UploadFile):
    data = await file.read()  # LEAK
    digest = hashlib.sha256(data).hexdigest()
    recent[digest] = data  # LEAK
    while not LEAK and len(recent) > MAX_RECENT:
        recent.popitem(last=False)
    return {"id": digest, "size": len(data)}


@app.get("/photos/{digest}")
async def photo(digest: str):
    if digest not in recent:
        raise HTTPException(404)
    return Response(recent[digest], media_type="image/jpeg")
