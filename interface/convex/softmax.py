"""Multinomial logistic regressions in batches, each with a proven gap to its minimum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from interface.convex import _newton
from interface.convex._base import BUDGET, as_features, class_targets
from interface.convex._newton import Softmax, certify
from interface.convex._whitening import Whitened, whiten
from interface.convex.lbfgs import minimize

DUAL_RADIUS = 1e3  # a probe of this norm in whitened coordinates has logits of some hundreds: separated for every purpose
MODERATE = 1e-4  # decrement (nats) at which Newton's method in float64 takes over from L-BFGS in float32
ROUNDS = 8


@dataclass(frozen=True)
class SoftmaxFit:
    value: Tensor
    weight: Tensor
    intercept: Tensor
    gap: Tensor
    status: tuple[str, ...]
    dual_radius: float


def fit_softmax(features: Any, labels: Any, *, n_classes: int | None = None, ridge: float = 0.0, tolerance: float = 1e-6, moderate=MODERATE, stats=None):
    import time
    x = as_features(features)
    y, classes = class_targets(labels, x.shape[1], n_classes)
    t0=time.perf_counter()
    white = whiten(x)
    n=x.shape[1]
    Y=torch.nn.functional.one_hot(y,classes).double() if y.ndim==2 else y
    moment = (Y.mT @ white.x.mT)/n
    E=max(len(x),len(y))
    problem = Softmax(white.x, moment, torch.zeros(E,1,white.x.shape[1],dtype=torch.float64), white.kept)
    t1=time.perf_counter()
    w, iters = _descend(problem, moderate)
    t2=time.perf_counter()
    val=torch.zeros(E).double(); low=torch.zeros(E).double(); 
    active=torch.arange(E); rounds=torch.zeros(E)
    for r in range(ROUNDS):
        nxt=[]
        for idx in active.split(8):
            c=certify(problem[idx], w[idx], radius=1e3, tolerance=tolerance)
            low[idx]=torch.maximum(low[idx],c.lower); rounds[idx]+=1
            t=torch.ones_like(c.value)
            new=w[idx]+c.step; v=_newton.value(problem[idx],new)
            for _ in range(10):
                bad=~(v<=c.value+1e-4*t*c.slope+1e-13)
                if not bad.any(): break
                t=torch.where(bad,t*.4,t); new=w[idx]+t[:,None,None]*c.step; v=_newton.value(problem[idx],new)
            w[idx]=new; val[idx]=v
            nxt.append(idx[(v-low[idx])>tolerance])
        active=torch.cat(nxt)
        if stats is not None: stats.setdefault("active",[]).append(len(active))
        if len(active)==0: break
    t3=time.perf_counter()
    if stats is not None: stats.update(whiten=t1-t0,lbfgs=t2-t1,newton=t3-t2,iters=iters,rounds=rounds)
    return w,val,low


def _descend(problem: Softmax, tolerance: float):
    x, moment, penalty = problem.x.float(), problem.moment.float(), problem.penalty.float()
    n=x.shape[2]
    curvature = torch.full(moment.shape[:2], .1)

    def f(w, index):
        rows=index.tolist()
        z=torch.empty(len(w),w.shape[1],n)
        for k,e in enumerate(rows): torch.mm(w[k],x[e],out=z[k])
        top=z.amax(1,keepdim=True)
        z-=top; z.exp_()
        s=z.sum(1,keepdim=True)
        value=(s.log()+top).mean((1,2))
        z/=s
        m=moment[index]
        value=value+(w*(0.5*penalty[index]*w-m)).sum((1,2))
        g=torch.empty_like(w)
        for k,e in enumerate(rows): torch.mm(z[k],x[e].mT,out=g[k])
        g/=n
        mean=g[...,-1]
        curvature[index]=(mean-torch.linalg.vector_norm(z,dim=2)**2/n).clamp_min(1e-7)
        return value, g-m+penalty[index]*w

    def pre(v,index):
        return v/(curvature[index].unsqueeze(-1)+penalty[index])
    out=minimize(f, torch.zeros_like(moment), tolerance=tolerance, max_iter=200, preconditioner=pre)
    return out.x.double(), out.iterations
