#include "simulator/curve.h"

double hsi_curve_at(const hsi_curve *curve, double number)
{
    uint32_t at = 1;
    double factor = 1;
    if (curve->count == 0 || !(number > 0))
        return 1;
    for (uint32_t i = 0; i < curve->count; i++) {
        if (number <= curve->at[i]) {
            if (!(number < curve->at[i]) || number < at || curve->at[i] == at)
                return curve->factor[i];
            return factor + (curve->factor[i] - factor) * (number - at) /
                                (double)(curve->at[i] - at);
        }
        at = curve->at[i];
        factor = curve->factor[i];
    }
    return factor * number / at;
}

double hsi_curve_capacity(const hsi_curve *curve)
{
    double most = 1;
    for (uint32_t i = 0; i < curve->count; i++)
        if (curve->at[i] / curve->factor[i] > most)
            most = curve->at[i] / curve->factor[i];
    return most;
}

double hsi_curve_shared_at(const hsi_curve *curve, uint32_t workers)
{
    double inverse = 1, factor = 1;
    for (uint32_t i = 0; i < curve->count; i++) {
        const double next = 1.0 / curve->at[i];
        if (workers <= curve->at[i])
            return inverse > next
                       ? factor + (curve->factor[i] - factor) *
                                      (inverse - 1.0 / workers) / (inverse - next)
                       : curve->factor[i];
        inverse = next;
        factor = curve->factor[i];
    }
    return factor;
}
